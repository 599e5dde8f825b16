"""Build of the compiled modules, which pyproject.toml cannot declare in a stable way yet."""

from pathlib import Path

from setuptools import Extension, setup

FLAGS = [
    "-O3",
    "-ffp-contract=off",  # without fused multiply-add, results are the same on every processor
    "-fno-math-errno",  # roots and comparisons can be vectorised, with the same results
    "-fno-trapping-math",
]

setup(
    ext_modules=[
        Extension(
            source.stem,  # top-level, so that a package run from a checkout finds it
            [source.as_posix()],
            depends=[path.as_posix() for path in sorted(Path("native").glob("*.[ch]")) if path.stem != source.stem],
            extra_compile_args=FLAGS,
            optional=True,  # without a C compiler the package works, only slower
        )
        for source in sorted(Path("native").glob("*.pyx"))
    ]
)
