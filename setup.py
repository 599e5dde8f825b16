"""Build of the compiled loops, which pyproject.toml cannot declare in a stable way yet."""

from setuptools import Extension, setup

setup(
    ext_modules=[
        Extension(
            "_dataselect_env_compiled",  # top-level, so that a package run from a checkout finds it
            ["native/_dataselect_env_compiled.pyx"],
            depends=["native/kernel.c", "native/best.h", "native/draws.h"],
            # Without fused multiply-add, results are the same on every processor.
            extra_compile_args=["-O3", "-ffp-contract=off"],
            optional=True,  # without a C compiler the package works, only slower
        )
    ]
)
