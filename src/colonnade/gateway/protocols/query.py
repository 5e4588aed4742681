"""query: a form of dotted names in, XML out (IAM, STS). Action and Version choose the operation."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from colonnade.gateway.exchange import Exchange, Response
from colonnade.gateway.protocols import texts, xml_values
from colonnade.gateway.protocols.faults import Fault
from colonnade.gateway.protocols.misfit import Misfit
from colonnade.gateway.protocols.xml_values import clean
from colonnade.kernel.models import OperationModel, Shape

Tree = dict[str, Any]
"""`Tags.member.1.Key=a` as {"Tags": {"member": {"1": {"Key": "a"}}}}."""
_DEEPEST = 32
_MOST_DIGITS = 9


def parser(model: OperationModel) -> Callable[[Exchange], dict[str, Any]]:
    read = _Readers().of(model.input_shape) if model.input_shape else None

    def parse(exchange: Exchange) -> dict[str, Any]:
        if read is None:
            return {}
        try:
            parameters: dict[str, Any] = read(_tree(exchange.form or []))
        except Misfit as misfit:
            raise misfit.refusal("MalformedInput") from None
        return parameters

    return parse


def _tree(pairs: list[tuple[str, str]]) -> Tree:
    tree: Tree = {}
    for name, text in pairs:
        *stem, last = name.split(".", _DEEPEST)
        at = tree
        for part in stem:
            below = at.get(part)
            if not isinstance(below, dict):
                below = at[part] = {}
            at = below
        at.setdefault(last, text)
    return tree


class _Readers:
    def __init__(self) -> None:
        self.known: dict[str, Callable[[Any], Any]] = {}

    def of(self, shape: Shape) -> Callable[[Any], Any]:
        if shape.type_name == "structure":
            if shape.name not in self.known:
                self.known[shape.name] = lambda found: self.known[shape.name](found)
                self.known[shape.name] = self._structure(shape)
            return self.known[shape.name]
        if shape.type_name == "list":
            return self._list(shape)
        if shape.type_name == "map":
            return self._map(shape)
        return _scalar(shape)

    def _structure(self, shape: Shape) -> Callable[[Any], dict[str, Any]]:
        members = [
            (name, _wire_name(name, member), self.of(member)) for name, member in shape.members.items()
        ]

        def read(found: Any) -> dict[str, Any]:
            if not isinstance(found, dict):
                if found == "":
                    return {}
                raise Misfit("a structure", found)
            result = {}
            for name, wire, convert in members:
                if wire in found:
                    try:
                        result[name] = convert(found[wire])
                    except Misfit as misfit:
                        raise misfit.within(name) from None
            return result

        return read

    def _list(self, shape: Shape) -> Callable[[Any], list[Any]]:
        convert = self.of(shape.member)
        within = None if xml_values.flattened(shape) else shape.member.serialization.get("name", "member")

        def read(found: Any) -> list[Any]:
            return [convert(item) for item in _numbered(found, within)]

        return read

    def _map(self, shape: Shape) -> Callable[[Any], dict[str, Any]]:
        key_name = shape.key.serialization.get("name", "key")
        value_name = shape.value.serialization.get("name", "value")
        convert = self.of(shape.value)
        within = None if xml_values.flattened(shape) else "entry"

        def read(found: Any) -> dict[str, Any]:
            result = {}
            for entry in _numbered(found, within):
                if not isinstance(entry, dict) or key_name not in entry or value_name not in entry:
                    raise Misfit(f"entries with {key_name} and {value_name}", entry)
                key = entry[key_name]
                if not isinstance(key, str):
                    raise Misfit("a text as a key", key)
                result[key] = convert(entry[value_name])
            return result

        return read


def _wire_name(name: str, shape: Shape) -> str:
    """A flattened list goes by its members' name, when they have one."""
    if shape.type_name == "list" and xml_values.flattened(shape) and shape.member.serialization.get("name"):
        return str(shape.member.serialization["name"])
    return str(shape.serialization.get("name", name))


def _numbered(found: Any, within: str | None) -> list[Any]:
    """Items in the order of their numbers. An empty list is sent as `Name=`."""
    if found == "":
        return []
    if within is not None and isinstance(found, dict):
        # Old clients name items `member` whatever the model says.
        found = found.get(within, found.get("member", {}))
        if found == "":
            return []
    if not isinstance(found, dict) or not all(number.isascii() and number.isdigit() for number in found):
        raise Misfit("a numbered list", found)
    if any(len(number) > _MOST_DIGITS for number in found):
        raise Misfit(f"a list numbered with at most {_MOST_DIGITS} digits", "one with more")
    return [found[number] for number in sorted(found, key=int)]


def _scalar(shape: Shape) -> Callable[[Any], Any]:
    convert = texts.reader(shape)

    def read(found: Any) -> Any:
        if not isinstance(found, str):
            raise Misfit(f"a value ({shape.type_name})", found)
        return convert(found)

    return read


# Answers


def serialiser(model: OperationModel) -> Callable[[Exchange, Mapping[str, Any]], Response]:
    namespace = model.service_model.metadata.get("xmlNamespace", "")
    shape = model.output_shape
    inner = xml_values.writer(shape) if shape is not None else None
    wrapper = shape.serialization.get("resultWrapper", f"{model.name}Result") if shape is not None else ""

    def serialise(exchange: Exchange, result: Mapping[str, Any]) -> Response:
        content = f"<{wrapper}>{inner(result)}</{wrapper}>" if inner else ""
        body = (
            f'<{model.name}Response xmlns="{namespace}">{content}<ResponseMetadata><RequestId>{exchange.request_id}'
            f"</RequestId></ResponseMetadata></{model.name}Response>"
        )
        return Response(200, [(b"content-type", b"text/xml")], body.encode())

    return serialise


def error(exchange: Exchange, fault: Fault) -> Response:
    namespace = exchange.plan.model.service_model.metadata.get("xmlNamespace", "") if exchange.plan else ""
    spaces = f' xmlns="{namespace}"' if namespace else ""
    members = {"Type": fault.sender, "Code": fault.query_code, "Message": fault.message}
    members |= {
        name: value
        for name, value in fault.members.items()
        if name.lower() != "message" and isinstance(value, str)
    }
    inner = "".join(f"<{name}>{clean(value)}</{name}>" for name, value in members.items())
    body = f"<ErrorResponse{spaces}><Error>{inner}</Error><RequestId>{exchange.request_id}</RequestId></ErrorResponse>"
    return Response(fault.status, [(b"content-type", b"text/xml")], body.encode())
