"""The type checker of the tests: beartype, which takes an int where a float is due as every static checker does."""

from beartype import BeartypeConf, beartype

checked = beartype(conf=BeartypeConf(is_pep484_tower=True))
