"""Laws of specs: every member of a role's union has a row, and is written as JSON and read back."""

from typing import Any, get_args

import pytest
from laws.rows import ROLES, SCHEDULES
from pydantic import TypeAdapter, ValidationError

from vaekit.networks import Layer
from vaekit.objectives import Critic


@pytest.mark.parametrize("role", ROLES)
def test_every_member_of_the_union_has_a_row(role: str) -> None:
    union, cases = ROLES[role]
    members = get_args(get_args(union)[0]) if get_args(union) else (union,)
    assert {type(case) for case in cases} == set(members)
    assert len({member.kind for member in members}) == len(members)


@pytest.mark.parametrize(
    ("union", "spec"),
    [pytest.param(union, s, id=f"{role}-{i}") for role, (union, specs) in ROLES.items() for i, s in enumerate(specs)],
)
def test_spec_round_trips(union: Any, spec: Any) -> None:
    adapter: TypeAdapter[Any] = TypeAdapter(union)
    assert adapter.validate_json(adapter.dump_json(spec)) == spec
    names = {t.__name__: t for t in (type(spec), Layer, Critic, *(type(s) for s in SCHEDULES))}
    assert eval(repr(spec), names) == spec
    assert hash(spec) == hash(adapter.validate_json(adapter.dump_json(spec)))
    with pytest.raises(AttributeError):
        spec.kind = "another"


@pytest.mark.parametrize(("union", "kind"), [(union, spec.kind) for union, specs in ROLES.values() for spec in specs])
def test_spec_refuses_fields_that_it_does_not_have(union: Any, kind: str) -> None:
    with pytest.raises(ValidationError, match="unexpected"):
        TypeAdapter(union).validate_python({"kind": kind, "no_such_field": 1})
