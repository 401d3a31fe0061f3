"""The named sets: where their files come from, what they must weigh, how they are read and split."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from vaekit.data import readers
from vaekit.data.raw import Raw

if TYPE_CHECKING:
    from vaekit.data.space import Binarization


@dataclass(frozen=True)
class File:
    """A file under a data root, its checksum ("sha256:..." or "md5:...") and the addresses it can be had from."""

    path: str
    checksum: str
    urls: tuple[str, ...] = ()


@dataclass(frozen=True)
class Version:
    """One form in which a set's files circulate, with the splits of its examples, the default first."""

    files: tuple[File, ...]
    read: Callable[[Sequence[Path]], Raw]
    splits: tuple[str, ...]
    notice: str = ""


@dataclass(frozen=True)
class NamedSet:
    """A public data set; the first of its versions that is found is read."""

    title: str
    examples: str
    reference: str
    versions: tuple[Version, ...]
    binarization: "Binarization" = "none"
    classes: tuple[str, ...] | None = None


DIGITS = tuple("0123456789")
MNIST_SPLITS = ("60k/10k", "50k/10k/10k")


def _idx(folder: str, hosts: Sequence[str], checksums: Sequence[str]) -> Version:
    names = [f"{part}-{kind}-ubyte.gz" for part in ("train", "t10k") for kind in ("images-idx3", "labels-idx1")]
    files = tuple(
        File(f"{folder}/raw/{name}", f"sha256:{checksum}", tuple(host + name for host in hosts))
        for name, checksum in zip(names, checksums, strict=True)
    )
    return Version(files, readers.read_idx, MNIST_SPLITS)


def _amat(suffix: str, checksums: Sequence[str], host: str | None = None) -> Version:
    names = [f"binarized_mnist_{part}.amat{suffix}" for part in ("train", "valid", "test")]
    files = tuple(
        File(f"binarized_mnist/{name}", checksum, (host + name,) if host else ())
        for name, checksum in zip(names, checksums, strict=True)
    )
    return Version(files, readers.read_amat, ("50k/10k/10k", "60k/10k"))


MNIST = _idx(
    "MNIST",
    (
        "https://storage.googleapis.com/cvdf-datasets/mnist/",
        "https://ossci-datasets.s3.amazonaws.com/mnist/",
        "http://yann.lecun.com/exdb/mnist/",
    ),
    (
        "440fcabf73cc546fa21475e81ea370265605f56be210a4024d2ca8f203523609",
        "3552534a0a558bbed6aed32b30c495cca23d567ec52cac8be1a0730e8010255c",
        "8d422c7b0a1c1c79245a5bcf07fe86e33eeafee792b84584aec276f5a2dbc4e6",
        "f7ae60f92e00ec6debd23a6088c31dbd2371eca3ffa0defaefb259924204aec6",
    ),
)
FASHION_MNIST = _idx(
    "FashionMNIST",
    (
        "https://github.com/zalandoresearch/fashion-mnist/raw/master/data/fashion/",
        "http://fashion-mnist.s3-website.eu-central-1.amazonaws.com/",
    ),
    (
        "3aede38d61863908ad78613f6a32ed271626dd12800ba2636569512369268a84",
        "a04f17134ac03560a47e3764e11b92fc97de4d1bfaf8ba1a3aa29af54cc90845",
        "346e55b948d973a97e58d2351dde16a484bd415d4595297633bb08f03db6a073",
        "67da17c76eaffca5446c3361aaab5c3cd6d1c2608764d35dfb1850b086bf8dd5",
    ),
)
KMNIST = _idx(
    "KMNIST",
    ("http://codh.rois.ac.jp/kmnist/dataset/kmnist/",),
    (
        "51467d22d8cc72929e2a028a0428f2086b092bb31cfb79c69cc0a90ce135fde4",
        "e38f9ebcd0f3ebcdec7fc8eabdcdaef93bb0df8ea12bee65224341c8183d8e17",
        "edd7a857845ad6bb1d0ba43fe7e794d164fe2dce499a1694695a792adfac43c5",
        "20bb9a0ef54c7db3efc55a92eef5582c109615df22683c380526788f98e42a1c",
    ),
)
FREY_FACE = Version(
    (
        File(
            "frey_face/frey_rawface.mat",
            "sha256:265a83a23adb081755cd3de375509828e690324d1d60f076b8ecebc840d59c64",
            ("https://cs.nyu.edu/~roweis/data/frey_rawface.mat",),
        ),
    ),
    readers.read_frey_face,
    ("1565/200/200", "0.9/0.1"),
)
BINARIZED_MNIST = (
    Version(
        (
            File(
                "binarized_mnist/binarized_mnist_packed.npz",
                "sha256:50de2c8299a5a297789293ab2c30f6fc3cb8c359a15e5e88d5501aa18ebb8fa5",
            ),
        ),
        readers.read_packed_bits,
        ("50k/10k/10k", "60k/10k"),
    ),
    _amat(
        ".gz",
        (
            "sha256:af247bd6075cf9adc4715459dcd5f13eaa99a2c92d8d81379a05da94770b6c0e",
            "sha256:533b71bc0198f4d73c54ae5fe6c96fc08dc3cf1b3fae24c5521dbc0452507e38",
            "sha256:32a3c54d03504632bf9f131b4a148c7567aa6fc87da017049b044bdc14c2a0f2",
        ),
    ),
    _amat(
        "",
        (
            "md5:db28b1a6ae0fe70cbd3da91acf46e477",
            "md5:bf37822a04e94123630de6a7dfd9c9ef",
            "md5:14e41ae11040adba6ab8cb291eda0dd8",
        ),
        "http://www.cs.toronto.edu/~larocheh/public/datasets/binarized_mnist/",
    ),
)
CALTECH = Version(
    (
        File(
            "caltech101_silhouettes/caltech101_silhouettes_28_split1.mat",
            "sha256:eb6735e8d84b1850fabc5590124aab1755e90c9fd28123585324398405e1e42a",
            ("https://people.cs.umass.edu/~marlin/data/caltech101_silhouettes_28_split1.mat",),
        ),
    ),
    readers.read_caltech,
    ("4100/2264/2307", "6364/2307"),
)
OMNIGLOT = (
    Version(
        (
            File(
                "omniglot/chardata.mat",
                "md5:21ecaf34373511aa7691cf2e0802aa3d",
                ("https://github.com/yburda/iwae/raw/master/datasets/OMNIGLOT/chardata.mat",),
            ),
        ),
        readers.read_omniglot,
        ("24345/8070", "23000/1345/8070"),
    ),
    Version(
        (
            File(
                "omniglot/omniglot_28_area.mat",
                "sha256:06a1a93d1232976695574cfe13e58b03fd772d2292170ff492cf9f30376ba8c4",
            ),
        ),
        readers.read_omniglot,
        ("24345/8115", "23000/1345/8115"),
        "omniglot was read from omniglot_28_area.mat, which is not the file of the IWAE paper: "
        "its likelihoods do not compare with published ones",
    ),
)

FASHION = (
    "T-shirt/top",
    "Trouser",
    "Pullover",
    "Dress",
    "Coat",
    "Sandal",
    "Shirt",
    "Sneaker",
    "Bag",
    "Ankle boot",
)

NAMED: Mapping[str, NamedSet] = {
    "digits": NamedSet(
        "handwritten digits of scikit-learn",
        "1,797 of 8×8",
        "Methods of combining multiple classifiers and their applications to handwritten digit recognition "
        "(Xu, Krzyzak, Suen, 1992)",
        (Version((), readers.read_digits, ("1257/180/360", "0.8/0.2")),),
        classes=DIGITS,
    ),
    "digits28": NamedSet(
        "handwritten digits of scikit-learn, enlarged: for learning, not for publishing",
        "1,797 of 28×28",
        "Methods of combining multiple classifiers and their applications to handwritten digit recognition "
        "(Xu, Krzyzak, Suen, 1992)",
        (Version((), readers.read_digits28, ("1257/180/360", "0.8/0.2")),),
        binarization="dynamic",
        classes=DIGITS,
    ),
    "mnist": NamedSet(
        "handwritten digits",
        "70,000 of 28×28",
        "Gradient-based learning applied to document recognition (LeCun, Bottou, Bengio, Haffner, 1998)",
        (MNIST,),
        binarization="dynamic",
        classes=DIGITS,
    ),
    "fashion_mnist": NamedSet(
        "articles of clothing",
        "70,000 of 28×28",
        "Fashion-MNIST: a Novel Image Dataset for Benchmarking Machine Learning Algorithms "
        "(Xiao, Rasul, Vollgraf, 2017), arXiv:1708.07747",
        (FASHION_MNIST,),
        classes=FASHION,
    ),
    "kmnist": NamedSet(
        "cursive Japanese characters",
        "70,000 of 28×28",
        "Deep Learning for Classical Japanese Literature (Clanuwat et al., 2018), arXiv:1812.01718",
        (KMNIST,),
        classes=("o", "ki", "su", "tsu", "na", "ha", "ma", "ya", "re", "wo"),
    ),
    "frey_face": NamedSet(
        "frames of a video of one face",
        "1,965 of 28×20",
        "Mixtures of local linear subspaces for face recognition (Frey, Colmenarez, Huang, 1998)",
        (FREY_FACE,),
    ),
    "binarized_mnist": NamedSet(
        "MNIST in one fixed draw of bits",
        "70,000 of 28×28",
        "The Neural Autoregressive Distribution Estimator (Larochelle, Murray, 2011)",
        BINARIZED_MNIST,
    ),
    "omniglot": NamedSet(
        "characters of fifty alphabets",
        "about 32,400 of 28×28",
        "Human-level concept learning through probabilistic program induction "
        "(Lake, Salakhutdinov, Tenenbaum, 2015); 28×28 by Importance Weighted Autoencoders "
        "(Burda, Grosse, Salakhutdinov, 2015), arXiv:1509.00519",
        OMNIGLOT,
        binarization="dynamic",
    ),
    "caltech101_silhouettes": NamedSet(
        "outlines of objects",
        "8,671 of 28×28",
        "Inductive Principles for Restricted Boltzmann Machine Learning (Marlin, Swersky, Chen, de Freitas, 2010)",
        (CALTECH,),
    ),
}
