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


def import_lazily(package: str) -> None:
    """Make the names in a package's stub `__init__.pyi` its attributes, which are imported on first use.

    Type checkers read the stub, too. It consists of imports from submodules, and `__all__`. If a submodule defines its
    own name, the package has this definition instead of the submodule.
    """
    module = sys.modules[package]
    with open(f"{module.__path__[0]}/__init__.pyi", encoding="utf-8") as file:
        imports, _, public = file.read().partition("\n\n__all__")
    module.__dict__["__all__"] = public.split('"')[1::2]
    homes: dict[str, str] = {}
    for statement in imports.removeprefix("from .").split("\nfrom ."):  # such as "bars import per_class_figure"
        home, _, names = statement.partition("import ")
        for name in (words.split()[0] for words in names.split(",")):  # "as" may follow a name
            submodule = home.strip() or name
            homes |= {name: submodule, submodule: submodule}
    module.__dict__["_homes"] = homes
    module.__class__ = LazyPackage
