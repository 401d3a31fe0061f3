"""The ceiling: the speed of one matrix product, GFLOP/s."""

import torch

from benchmarks.protocol import Job, seconds, serve

SHAPES = {"100×784×500": (100, 784, 500), "2048×2048×2048": (2048, 2048, 2048)}
LARGE = {"cpu": {}, "cuda": {"8192×8192×8192": (8192, 8192, 8192)}}
FLOP_A_ROUND = {"cpu": 4e10, "cuda": 1e13}


class Gemm:
    """Each product of each shape; variants that the device lacks are left out."""

    def __init__(self, job: Job) -> None:
        self.device = job.device

    @torch.inference_mode()
    def round(self) -> dict[str, dict[str, float]]:
        return {shape: self.speeds(*sizes) for shape, sizes in (SHAPES | LARGE[self.device]).items()}

    def speeds(self, m: int, k: int, n: int) -> dict[str, float]:
        a, b = torch.randn(m, k, device=self.device), torch.randn(k, n, device=self.device)
        c, d, weight = a.bfloat16(), b.bfloat16(), b.T.contiguous()
        products = {"torch.mm, fp32": lambda: a @ b, "torch.mm, bf16": lambda: c @ d}
        if self.device == "cpu":
            linear = torch.ops.mkldnn._linear_pointwise
            products["oneDNN linear, fp32"] = lambda: linear(a, weight, None, "none", [], "")
        flop = 2 * m * k * n
        return {
            name: flop / self.duration(call, int(FLOP_A_ROUND[self.device] / flop)) / 1e9
            for name, call in products.items()
        }

    def duration(self, call, times: int) -> float:
        """Mean duration; on a GPU the queue is emptied once, at the end."""

        def all_calls() -> None:
            for _ in range(times):
                call()
            if self.device == "cuda":
                torch.cuda.synchronize()

        call()
        return seconds(all_calls, 1) / times


if __name__ == "__main__":
    serve(Gemm)
