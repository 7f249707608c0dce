"""Import the parts of a package when they are first used, so that a command pays only for what it needs."""

import sys

ModuleType = type(sys)  # as in `types`, without the time to import it


class LazyPackage(ModuleType):  # type: ignore[valid-type, misc]
    """A package whose public names are imported on first use."""

    def __getattr__(self, name: str) -> object:  # called only for names that are not there yet
        home = self.__dict__["_homes"].get(name)
        if home is None:
            raise AttributeError(f"module {self.__name__!r} has no attribute {name!r}")
        from importlib import import_module

        module = import_module(f".{home}", self.__name__)
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


def import_lazily(package: str, homes: dict[str, str]) -> None:
    """Let the names in `homes` be attributes of a package that are imported on first use.

    Args:
        package: The package's `__name__`.
        homes: The submodule that defines each name. A submodule without an attribute of its own name stands for itself.
    """
    module = sys.modules[package]
    module.__dict__["_homes"] = homes
    module.__class__ = LazyPackage
