"""Packages that import their modules on first use, so that a command imports only what it needs."""

import sys

ModuleType = type(sys)  # `types` defines it in the same way, but takes time to import


class LazyPackage(ModuleType):  # type: ignore[valid-type, misc]
    """A package whose public names are imported on first use."""

    def __getattr__(self, name: str) -> object:  # called only for names that have not been used yet
        home = self.__dict__["_homes"].get(name)
        if home is None:
            raise AttributeError(f"module {self.__name__!r} has no attribute {name!r}")
        from importlib import import_module

        module = import_module(f".{home}", self.__dict__["__name__"])
        setattr(self, name, getattr(module, name, module))
        return self.__dict__[name]

    def __setattr__(self, name: str, value: object) -> None:
        # Importing tinysegnet.walk.trace makes Python set the attribute `walk` to the submodule of that name, but
        # tinysegnet.walk must stay the function.
        if isinstance(value, ModuleType) and name in self.__dict__["_homes"]:
            value = getattr(value, name, value)
        super().__setattr__(name, value)

    def __dir__(self) -> list[str]:
        return sorted({*self.__dict__, *self.__dict__["_homes"]})


def import_lazily(package: str, **submodules: str) -> None:
    """Make submodules and the public names in them attributes of a package that are imported on first use.

    Args:
        package: The `__name__` of the package.
        submodules: For each submodule, the names that it defines, separated by spaces. If a submodule defines its
            own name, the package has this definition instead of the submodule.
    """
    module = sys.modules[package]
    module.__dict__["_homes"] = {name: home for home, names in submodules.items() for name in (home, *names.split())}
    module.__class__ = LazyPackage
