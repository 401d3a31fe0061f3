"""All studies."""

from vaekit.studies import aragam2024, frans2016, kth2021, ncsu2018, wei

STUDIES = (kth2021.STUDY, ncsu2018.STUDY, aragam2024.STUDY, wei.STUDY, frans2016.STUDY)
