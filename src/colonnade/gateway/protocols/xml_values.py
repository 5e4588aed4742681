"""XML values by shape, both ways, compiled once per shape: rest-xml's bodies and the answers of query."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any
from xml.etree.ElementTree import Element, ParseError, TreeBuilder, XMLParser
from xml.sax.saxutils import escape, quoteattr

from colonnade.gateway.protocols import texts, timestamps
from colonnade.gateway.protocols.misfit import Misfit
from colonnade.kernel.errors import ServiceError
from colonnade.kernel.models import Shape

Read = Callable[[Element], Any]
Write = Callable[[Any, str, list[str]], None]
"""(value, element name, pieces to append to)"""


_MOST_ELEMENTS = 100_000
"""Ten thousand parts, as an upload may have, are some forty thousand elements."""
_DEEPEST = 64


def parse(body: bytes) -> Element:
    """Raises MalformedXML. Document types are refused before anything in them is read: entities grow without bound."""
    try:
        parser = XMLParser(target=_Bounded())
        parser.feed(body)
        root: Element = parser.close()
    except (ParseError, ValueError, LookupError) as error:
        raise malformed(str(error)) from None
    return root


class _Bounded(TreeBuilder):
    """Says no while the text is read, not when it has filled the memory."""

    def __init__(self) -> None:
        super().__init__()
        self._elements = 0
        self._depth = 0

    def doctype(self, *_: Any) -> None:
        raise malformed("it declares a document type")

    def start(self, tag: Any, attributes: Any, /) -> Element:
        self._elements += 1
        self._depth += 1
        if self._elements > _MOST_ELEMENTS or self._depth > _DEEPEST:
            raise malformed(f"it has more than {_MOST_ELEMENTS} elements or {_DEEPEST} levels")
        return super().start(tag, attributes)

    def end(self, tag: Any, /) -> Element:
        self._depth -= 1
        return super().end(tag)


def malformed(why: str) -> ServiceError:
    return ServiceError(
        "MalformedXML",
        f"The XML you provided was not well-formed or did not validate against our published schema ({why})",
        status=400,
    )


def local(tag: str) -> str:
    return tag.rpartition("}")[2]


def flattened(shape: Shape) -> bool:
    return bool(shape.serialization.get("flattened"))


def element_name(name: str, shape: Shape) -> str:
    """A flattened list's items carry the list's own name, or that of its members."""
    if shape.type_name == "list" and flattened(shape):
        return str(shape.serialization.get("name") or shape.member.serialization.get("name") or name)
    return str(shape.serialization.get("name", name))


# Reading


def reader(shape: Shape, only: frozenset[str] | None = None) -> Read:
    return _Readers().structure(shape, only)


class _Readers:
    def __init__(self) -> None:
        self.known: dict[str, Read] = {}

    def of(self, shape: Shape) -> Read:
        if shape.type_name == "structure":
            if shape.name not in self.known:
                self.known[shape.name] = lambda element: self.known[shape.name](element)
                self.known[shape.name] = self.structure(shape, None)
            return self.known[shape.name]
        if shape.type_name == "list":
            return self._list(shape)
        if shape.type_name == "map":
            return self._map(shape)
        convert = texts.reader(shape)
        return lambda element: convert(_text(element, shape))

    def structure(self, shape: Shape, only: frozenset[str] | None) -> Read:
        elements: dict[str, tuple[str, Read, bool]] = {}
        attributes: dict[str, str] = {}
        for name, member in shape.members.items():
            if only is not None and name not in only:
                continue
            if member.serialization.get("xmlAttribute"):
                attributes[member.serialization["name"].rpartition(":")[2]] = name
            elif member.type_name in ("list", "map") and flattened(member):
                item = self._entry(member) if member.type_name == "map" else self.of(member.member)
                elements[element_name(name, member)] = (name, item, True)
            else:
                elements[element_name(name, member)] = (name, self.of(member), False)

        def read(element: Element) -> dict[str, Any]:
            result: dict[str, Any] = {}
            for attribute, text in element.attrib.items():
                if local(attribute) in attributes:
                    result[attributes[local(attribute)]] = text
            for child in element:
                known = elements.get(local(child.tag))
                if known is not None:
                    _add(result, child, *known)
            return result

        return read

    def _list(self, shape: Shape) -> Read:
        convert = self.of(shape.member)
        return lambda element: [convert(child) for child in element]

    def _map(self, shape: Shape) -> Read:
        entry = self._entry(shape)
        return lambda element: dict(entry(child) for child in element)

    def _entry(self, shape: Shape) -> Callable[[Element], tuple[str, Any]]:
        key_name = shape.key.serialization.get("name", "key")
        value_name = shape.value.serialization.get("name", "value")
        convert = self.of(shape.value)

        def read(element: Element) -> tuple[str, Any]:
            children = {local(child.tag): child for child in element}
            if key_name not in children or value_name not in children:
                raise Misfit(f"an entry with {key_name} and {value_name}", sorted(children))
            return children[key_name].text or "", convert(children[value_name])

        return read


def _add(result: dict[str, Any], child: Element, name: str, convert: Read, repeated: bool) -> None:
    try:
        value = convert(child)
    except Misfit as misfit:
        raise misfit.within(name) from None
    if not repeated:
        result[name] = value
    elif isinstance(value, tuple):
        result.setdefault(name, {})[value[0]] = value[1]
    else:
        result.setdefault(name, []).append(value)


def _text(element: Element, shape: Shape) -> str:
    text = element.text or ""
    return text if shape.type_name == "string" else text.strip()


# Writing


def writer(
    shape: Shape, only: frozenset[str] | None = None, *, timestamp: str = "iso8601"
) -> Callable[[Any], str]:
    """What stands inside the root element."""
    write = _Writers(timestamp).inner(shape, only)

    def inner(value: Any) -> str:
        pieces: list[str] = []
        write(value, pieces)
        return "".join(pieces)

    return inner


class _Writers:
    def __init__(self, timestamp: str) -> None:
        self.timestamp = timestamp
        self.known: dict[str, Write] = {}

    def of(self, shape: Shape) -> Write:
        if shape.type_name == "structure":
            if shape.name not in self.known:
                self.known[shape.name] = lambda value, name, pieces: self.known[shape.name](
                    value, name, pieces
                )
                self.known[shape.name] = self._structure(shape)
            return self.known[shape.name]
        if shape.type_name == "list":
            return self._flat_list(shape) if flattened(shape) else self._list(shape)
        if shape.type_name == "map":
            return self._map(shape)
        return self._scalar(shape)

    def _scalar(self, shape: Shape) -> Write:
        if shape.type_name == "timestamp" and "timestampFormat" not in shape.serialization:
            convert: texts.Write = (
                timestamps.iso8601_millis if self.timestamp == "millis" else timestamps.iso8601
            )
        else:
            convert = texts.writer(shape, "iso8601")

        def write(value: Any, name: str, pieces: list[str]) -> None:
            pieces.append(f"<{name}>{clean(convert(value))}</{name}>")

        return write

    def _structure(self, shape: Shape) -> Write:
        inner = self.inner(shape, None)
        attributes = {
            name: member.serialization["name"]
            for name, member in shape.members.items()
            if member.serialization.get("xmlAttribute")
        }
        spaces = _namespace(shape)

        def write(value: Mapping[str, Any], name: str, pieces: list[str]) -> None:
            own = "".join(
                f" {wire}={quoteattr(value[key])}" for key, wire in attributes.items() if key in value
            )
            pieces.append(f"<{name}{spaces}{own}>")
            inner(value, pieces)
            pieces.append(f"</{name}>")

        return write

    def inner(self, shape: Shape, only: frozenset[str] | None) -> Callable[[Any, list[str]], None]:
        """A structure's members, in the model's order: strict clients want it."""
        members = [
            (name, element_name(name, member), self.of(member))
            for name, member in shape.members.items()
            if (only is None or name in only) and not member.serialization.get("xmlAttribute")
        ]

        def write(value: Mapping[str, Any], pieces: list[str]) -> None:
            for key, name, convert in members:
                item = value.get(key)
                if item is not None:
                    convert(item, name, pieces)

        return write

    def _list(self, shape: Shape) -> Write:
        convert = self.of(shape.member)
        item_name = shape.member.serialization.get("name", "member")

        def write(value: list[Any], name: str, pieces: list[str]) -> None:
            pieces.append(f"<{name}>")
            for item in value:
                convert(item, item_name, pieces)
            pieces.append(f"</{name}>")

        return write

    def _flat_list(self, shape: Shape) -> Write:
        convert = self.of(shape.member)

        def write(value: list[Any], name: str, pieces: list[str]) -> None:
            for item in value:
                convert(item, name, pieces)

        return write

    def _map(self, shape: Shape) -> Write:
        key_name = shape.key.serialization.get("name", "key")
        value_name = shape.value.serialization.get("name", "value")
        convert = self.of(shape.value)
        flat = flattened(shape)

        def write(value: Mapping[str, Any], name: str, pieces: list[str]) -> None:
            entry = name if flat else "entry"
            pieces.append("" if flat else f"<{name}>")
            for key, item in value.items():
                pieces.append(f"<{entry}><{key_name}>{clean(key)}</{key_name}>")
                convert(item, value_name, pieces)
                pieces.append(f"</{entry}>")
            pieces.append("" if flat else f"</{name}>")

        return write


def _namespace(shape: Shape) -> str:
    space = shape.serialization.get("xmlNamespace")
    if not space:
        return ""
    if isinstance(space, str):
        return f" xmlns={quoteattr(space)}"
    prefix = f":{space['prefix']}" if space.get("prefix") else ""
    return f" xmlns{prefix}={quoteattr(space['uri'])}"


_UNSPEAKABLE = {code: None for code in range(32) if code not in (9, 10, 13)} | {0xFFFE: None, 0xFFFF: None}


def clean(text: str) -> str:
    """Escaped; without the characters that XML 1.0 cannot hold at all; with carriage returns that survive reading."""
    return escape(text.translate(_UNSPEAKABLE), {"\r": "&#13;"})
