"""How sharp images are: the share of their energy at high spatial frequencies."""

import torch
from jaxtyping import Float
from torch import Tensor

from vaekit.estimates import exact

ABOVE = 0.25
"""cycles per pixel from which a frequency is high: half the Nyquist frequency"""


def sharpness(images: Float[Tensor, "batch channels height width"]) -> Float[Tensor, "batch"]:
    r"""Return the share of each image's energy, apart from that of its mean, at high frequencies, (batch,) in [0, 1].

    Σ_{|f| > ¼} |F(f)|² / Σ_{f ≠ 0} |F(f)|², where F is the discrete Fourier transform and |f| = (f_x² + f_y²)^½ in
    cycles per pixel. It does not depend on brightness or contrast; blur lowers it, and noise raises it. An image of one
    color has no such energy, and a sharpness of 0.

    Example:
        >>> checkerboard = (torch.arange(4)[:, None] + torch.arange(4)).remainder(2.0)
        >>> sharpness(checkerboard.expand(1, 1, 4, 4))
        tensor([1.], dtype=torch.float64)
    """
    x = exact(images)
    energy = torch.fft.fft2(x - x.mean((-2, -1), keepdim=True)).abs().square()
    fy, fx = (torch.fft.fftfreq(side, dtype=x.dtype, device=x.device) for side in x.shape[-2:])
    high = fy[:, None].square() + fx.square() > ABOVE**2
    total = energy.sum((-3, -2, -1))
    return (energy * high).sum((-3, -2, -1)) / total.clamp_min(torch.finfo(x.dtype).tiny)
