"""The one part of the build that pyproject.toml cannot tell in a stable way yet: the compiled loop."""

from setuptools import Extension, setup

setup(
    ext_modules=[
        Extension(
            "_dataselect_env_compiled",  # a module of its own: it is found also when the package runs from a checkout
            ["native/_dataselect_env_compiled.pyx"],
            extra_compile_args=["-O3"],
            optional=True,  # without a compiler everything works, slower
        )
    ]
)
