"""The core as its callers see it: one method for each built operation of ``operations.py``, by the same name.

A method takes the caller and, by name, what the path, query, body and headers say; it returns the operation's result.
The parts hold the methods, a file per noun; who may call what is decided before (core/auth.py).
"""

import inspect

from skerry.core.calls import CallsPart
from skerry.core.carrying import CarryingPart
from skerry.core.chains import ChainsPart
from skerry.core.cordons import CordonsPart
from skerry.core.definitions import DefinitionsPart
from skerry.core.enrolment import EnrolmentPart
from skerry.core.instances import InstancesPart
from skerry.core.joining import JoiningPart
from skerry.core.links import LinksPart
from skerry.core.metrics import MetricsPart
from skerry.core.networks import NetworksPart
from skerry.core.node_cordons import NodeCordonsPart
from skerry.core.nodes import NodesPart
from skerry.core.planning import PlanningPart
from skerry.core.platform import PlatformPart
from skerry.core.profiles import ProfilesPart
from skerry.core.pruning import PruningPart
from skerry.core.reading import ReadingPart
from skerry.core.rollouts import RolloutsPart
from skerry.core.seeds import SeedsPart
from skerry.core.supplies import SuppliesPart
from skerry.core.tracing import TracingPart
from skerry.core.users import UsersPart
from skerry.core.wishes import WishesPart
from skerry.model.errors import Broken
from skerry.operations import OPERATIONS, Operation


class Service(
    WishesPart,
    RolloutsPart,
    PlanningPart,
    MetricsPart,
    LinksPart,
    ReadingPart,
    InstancesPart,
    SuppliesPart,
    CarryingPart,
    DefinitionsPart,
    PruningPart,
    SeedsPart,
    EnrolmentPart,
    ProfilesPart,
    NetworksPart,
    ChainsPart,
    TracingPart,
    NodesPart,
    CordonsPart,
    NodeCordonsPart,
    JoiningPart,
    UsersPart,
    CallsPart,
    PlatformPart,
):
    """All operations of one core."""


def list_arguments(operation: Operation) -> tuple[str, ...]:
    """Name what a method takes besides the caller, as its declaration says."""
    names = list(operation.parameters)
    if operation.query is not None:
        names.append("query")
    if operation.body is not None or operation.style == "upload":
        names.append("body")
    if operation.guarded:
        names.append("expect")
    if operation.style == "socket":
        names.append("socket")
    return tuple(names)


def check_complete(service: type[Service]) -> None:
    """Raise ``Broken`` unless every built operation has its method, with exactly the declared arguments."""
    for operation in OPERATIONS:
        method = getattr(service, operation.name, None)
        if not operation.built:
            continue
        if method is None:
            raise Broken("E-OPERATION", f"Operation {operation.name} is declared and has no method.")
        taken = tuple(name for name in inspect.signature(method).parameters if name not in ("self", "caller"))
        if sorted(taken) != sorted(list_arguments(operation)):
            raise Broken("E-OPERATION", f"{operation.name} takes {taken}, declared {list_arguments(operation)}.")
