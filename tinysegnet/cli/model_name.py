"""The name of a network as an argument or an option."""

from typing import Annotated

from cyclopts import Parameter

from ..models import models

ModelName = Annotated[str, Parameter(choices=tuple(models), metavar="MODEL")]
