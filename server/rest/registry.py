"""The registered documents: which operation of the graph stands behind which method and address.

A comment above an operation says `METHOD /path`, and where it is not 200 `-> status`, with the address of what was made;
the lines below describe it. A parameter of the path is a variable, or else a field of `$input`. The other variables of a
query are parameters of the query string, what is left of `$input` is the body.
"""

import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path

from graphql import (
    DocumentNode,
    FieldNode,
    FragmentDefinitionNode,
    FragmentSpreadNode,
    GraphQLInputObjectType,
    GraphQLInputType,
    GraphQLInterfaceType,
    GraphQLNamedType,
    GraphQLObjectType,
    GraphQLSchema,
    GraphQLUnionType,
    NonNullTypeNode,
    OperationDefinitionNode,
    OperationType,
    SelectionNode,
    SelectionSetNode,
    TokenKind,
    Undefined,
    VariableDefinitionNode,
    Visitor,
    get_named_type,
    get_nullable_type,
    is_leaf_type,
    is_non_null_type,
    parse,
    print_ast,
    type_from_ast,
    validate,
    value_from_ast_untyped,
    visit,
)

FOLDER = Path(__file__).parent / "documents"
INPUT = "input"
IDEMPOTENCY_KEY = "idempotencyKey"
EXPECTED_VERSION = "expectedVersion"
ALIAS = "__"
"""Stands between the name of a refusal's field and that of the refusal."""
COMMON = ("code", "message")

_HEAD = re.compile(r"(GET|POST|PUT|PATCH|DELETE) (/\S+)(?: -> (\d{3})(?: (/\S+))?)?\Z")
_PARAMETER = re.compile(r"{(\w+)}")


class UnfitDocument(Exception):
    """A registered document does not fit the schema, or its comment does not fit it."""


@dataclass(frozen=True, eq=False)
class Variable:
    """A variable of an operation: its type, and whether it must be given."""

    name: str
    type: GraphQLInputType
    required: bool
    default: object = Undefined


@dataclass(frozen=True, eq=False, kw_only=True)
class Operation:
    """One operation of the graph as REST has it."""

    name: str
    method: str
    path: str
    status: int
    location: str | None
    description: str
    tag: str
    text: str
    kind: OperationType
    field: FieldNode
    returns: GraphQLNamedType
    is_list: bool
    variables: Mapping[str, Variable]
    fragments: Mapping[str, FragmentDefinitionNode]

    @cached_property
    def result_key(self) -> str:
        return (self.field.alias or self.field.name).value

    @cached_property
    def path_parameters(self) -> Mapping[str, GraphQLInputType]:
        """Give the types of the parameters in the path."""
        return {name: self._type_of(name) for name in _PARAMETER.findall(self.path)}

    @cached_property
    def query_parameters(self) -> Mapping[str, Variable]:
        if self.kind is OperationType.MUTATION:
            return {}
        return {name: each for name, each in self.variables.items() if name not in self.path_parameters}

    @cached_property
    def input_type(self) -> GraphQLInputObjectType | None:
        found = self.variables.get(INPUT)
        kind = get_nullable_type(found.type) if found else None
        return kind if isinstance(kind, GraphQLInputObjectType) else None

    @cached_property
    def body_fields(self) -> Mapping[str, GraphQLInputType]:
        """Give the types of what the body holds, without what the path and the headers say."""
        fields = self.input_type.fields if self.input_type else {}
        elsewhere = {*self.path_parameters, EXPECTED_VERSION}
        return {name: each.type for name, each in fields.items() if name not in elsewhere}

    @property
    def is_conditional(self) -> bool:
        """Whether If-Match can say which version the change was decided on."""
        return self.input_type is not None and EXPECTED_VERSION in self.input_type.fields

    @property
    def is_paged(self) -> bool:
        return "after" in self.variables

    @cached_property
    def success(self) -> GraphQLObjectType:
        """Give the type of the answer that is no refusal."""
        kind = self.returns
        if isinstance(kind, GraphQLUnionType):
            kind = next(each for each in kind.types if not _is_refusal(each))
        if not isinstance(kind, GraphQLObjectType):
            raise UnfitDocument(f"{self.name} gives no object")
        return kind

    @cached_property
    def refusals(self) -> Sequence[GraphQLObjectType]:
        kind = self.returns
        return [each for each in kind.types if _is_refusal(each)] if isinstance(kind, GraphQLUnionType) else []

    def _type_of(self, name: str) -> GraphQLInputType:
        if name in self.variables:
            return self.variables[name].type
        if self.input_type is None or name not in self.input_type.fields:
            raise UnfitDocument(f"{self.name}: {{{name}}} is neither a variable nor a field of $input")
        kind: GraphQLInputType = self.input_type.fields[name].type
        return kind


def _is_refusal(kind: GraphQLObjectType) -> bool:
    return any(each.name == "Error" for each in kind.interfaces)


@dataclass(eq=False)
class Registry:
    """All registered operations, checked against a schema.

    Raises: UnfitDocument.
    """

    schema: GraphQLSchema
    folder: Path = FOLDER
    operations: list[Operation] = field(init=False)

    def __post_init__(self) -> None:
        documents = {path.stem: parse(path.read_text("utf-8")) for path in sorted(self.folder.glob("*.graphql"))}
        fragments = {
            each.name.value: each
            for document in documents.values()
            for each in document.definitions
            if isinstance(each, FragmentDefinitionNode)
        }
        self.operations = [
            self._operation(tag, each, fragments)
            for tag, document in documents.items()
            for each in document.definitions
            if isinstance(each, OperationDefinitionNode)
        ]
        twice = [
            key for key, times in Counter((each.method, each.path) for each in self.operations).items() if times > 1
        ]
        if twice:
            raise UnfitDocument(f"registered twice: {twice}")

    def by_path(self) -> Mapping[str, Mapping[str, Operation]]:
        """Give the operations by path, then method; of paths that both fit an address the one with fewer parameters first."""
        paths: dict[str, dict[str, Operation]] = {}
        for each in sorted(self.operations, key=lambda each: each.path.count("{")):
            paths.setdefault(each.path, {})[each.method] = each
        return paths

    def _operation(
        self, tag: str, definition: OperationDefinitionNode, fragments: Mapping[str, FragmentDefinitionNode]
    ) -> Operation:
        name = definition.name.value if definition.name else "?"
        comment = list(_comment(definition))
        head = _HEAD.match(comment[0]) if comment else None
        if head is None:
            raise UnfitDocument(f"{name}: the comment above it must begin with METHOD /path")
        selected = definition.selection_set.selections[0]
        root = self.schema.get_root_type(definition.operation)
        if (
            len(definition.selection_set.selections) > 1
            or not isinstance(selected, FieldNode)
            or root is None
            or selected.name.value not in root.fields
        ):
            raise UnfitDocument(f"{name} must ask for one field of the graph")
        returned = root.fields[selected.name.value].type
        made = Operation(
            name=name,
            method=head[1],
            path=head[2],
            status=int(head[3] or 200),
            location=head[4],
            description=" ".join(comment[1:]),
            tag=tag,
            text=self._text(definition, selected, get_named_type(returned), fragments),
            kind=definition.operation,
            field=selected,
            returns=get_named_type(returned),
            is_list=hasattr(get_nullable_type(returned), "of_type"),
            variables={
                each.variable.name.value: self._variable(each) for each in definition.variable_definitions or ()
            },
            fragments=fragments,
        )
        self._check(made)
        return made

    def _variable(self, node: VariableDefinitionNode) -> Variable:
        kind = type_from_ast(self.schema, node.type)
        if kind is None:
            raise UnfitDocument(f"there is no type {print_ast(node.type)}")
        default = value_from_ast_untyped(node.default_value) if node.default_value else Undefined
        required = isinstance(node.type, NonNullTypeNode) and default is Undefined
        return Variable(node.variable.name.value, kind, required, default)  # type: ignore[arg-type]

    def _text(
        self,
        definition: OperationDefinitionNode,
        selected: FieldNode,
        returns: GraphQLNamedType,
        fragments: Mapping[str, FragmentDefinitionNode],
    ) -> str:
        """Write the document that is executed: the operation with its fragments, and all that refusals have to say."""
        used = [print_ast(fragments[each]) for each in _spreads(definition, fragments)]
        if isinstance(returns, GraphQLUnionType) and selected.selection_set:
            selections = (*selected.selection_set.selections, *_refusal_selections(returns))
            widened = replace(selected, selection_set=SelectionSetNode(selections=selections))
            definition = replace(definition, selection_set=SelectionSetNode(selections=(widened,)))
        return "\n\n".join([print_ast(definition), *used])

    def _check(self, operation: Operation) -> None:
        errors = validate(self.schema, parse(operation.text))
        if errors:
            raise UnfitDocument(f"{operation.name}: {errors[0].message}")
        for parameter in operation.path_parameters.values():
            if not is_leaf_type(get_named_type(parameter)):
                raise UnfitDocument(f"{operation.name}: a parameter of a path must be a scalar")
        if not operation.refusals and operation.kind is OperationType.MUTATION:
            raise UnfitDocument(f"{operation.name} must give a union with refusals")


def _comment(definition: OperationDefinitionNode) -> Iterator[str]:
    """Give the lines of the comment right above a definition."""
    lines: list[str] = []
    token = definition.loc.start_token if definition.loc else None
    while (
        token is not None and (above := token.prev) and above.kind is TokenKind.COMMENT and above.line == token.line - 1
    ):
        lines.append((above.value or "").strip())
        token = above
    return reversed(lines)


def _spreads(node: OperationDefinitionNode, fragments: Mapping[str, FragmentDefinitionNode]) -> list[str]:
    """Name the fragments that an operation uses, those within fragments included."""
    found: list[str] = []

    class Seen(Visitor):
        def enter_fragment_spread(self, spread: FragmentSpreadNode, *_: object) -> None:
            if spread.name.value not in found:
                found.append(spread.name.value)
                visit(fragments[spread.name.value], Seen())

    visit(node, Seen())
    return found


def _refusal_selections(union: GraphQLUnionType) -> Sequence[SelectionNode]:
    """Ask for everything that the refusals of a union say; fields of one name may be of different types, hence the aliases."""
    lines = ["__typename"]
    for refusal in filter(_is_refusal, union.types):
        fields = [
            name if name in COMMON else f"{name}{ALIAS}{refusal.name}: {name}{_leaves(each.type)}"
            for name, each in refusal.fields.items()
        ]
        lines.append(f"... on {refusal.name} {{ {' '.join(fields)} }}")
    document: DocumentNode = parse(f"{{ {' '.join(lines)} }}", no_location=True)
    (operation,) = document.definitions
    return tuple(operation.selection_set.selections)  # type: ignore[attr-defined]


def _leaves(kind: object) -> str:
    """Ask for the plain fields of what a refusal holds, such as an amount of money."""
    named = get_named_type(kind)  # type: ignore[call-overload]
    if not isinstance(named, GraphQLObjectType | GraphQLInterfaceType):
        return ""
    plain = [name for name, each in named.fields.items() if is_leaf_type(get_named_type(each.type)) and not each.args]
    return f" {{ {' '.join(plain)} }}"


def must_be_given(kind: GraphQLInputType, default: object = Undefined) -> bool:
    """Whether a field of an input has to be there."""
    return is_non_null_type(kind) and default is Undefined
