from dataclasses import dataclass
from enum import StrEnum
from typing import ClassVar
from uuid import uuid4

import pytest

from domain.kernel import (
    Aggregate,
    ConcurrentModification,
    DomainError,
    Event,
    InvalidStateTransition,
    NotFound,
    Principal,
    Transitions,
    Unauthenticated,
    event,
)


class Light(StrEnum):
    RED = "red"
    GREEN = "green"
    BROKEN = "broken"


@event("test.lamp_switched")
@dataclass(frozen=True, kw_only=True)
class LampSwitched(Event):
    to: str


@dataclass(eq=False, kw_only=True)
class Lamp(Aggregate):
    light: Light = Light.RED

    def switch(self) -> None:
        self.light = Light.GREEN
        self.record(LampSwitched(to="green"))


@dataclass(eq=False)
class TooBright(DomainError):
    lumen: int
    template = "{lumen} lumen are too much."


class TestDomainError:
    def test_is_named_by_its_class(self) -> None:
        assert TooBright(lumen=9).code == "TOO_BRIGHT"

    def test_says_what_is_wrong_with_its_data(self) -> None:
        assert str(TooBright(lumen=9000)) == "9000 lumen are too much."

    def test_names_kind_and_id_of_what_is_missing(self) -> None:
        assert NotFound(kind="Store", id="7").message == "Store 7 does not exist."


class TestAggregate:
    def test_advances_its_version_with_every_event(self) -> None:
        lamp = Lamp(tenant_id=uuid4())
        lamp.switch()
        lamp.switch()
        assert [recorded.version for recorded in lamp.release_events()] == [1, 2]
        assert lamp.version == 2

    def test_hands_over_each_event_once(self) -> None:
        lamp = Lamp(tenant_id=uuid4())
        lamp.switch()
        lamp.release_events()
        assert lamp.release_events() == []

    def test_refuses_a_change_that_was_decided_on_an_older_state(self) -> None:
        lamp = Lamp(tenant_id=uuid4(), version=3)
        with pytest.raises(ConcurrentModification):
            lamp.expect_version(2)
        lamp.expect_version(3)
        lamp.expect_version(None)


class TestEvent:
    def test_has_a_name_that_no_other_event_has(self) -> None:
        with pytest.raises(ValueError, match=r"two event classes are called test\.lamp_switched"):
            event("test.lamp_switched")(LampSwitched)


class TestTransitions:
    table: ClassVar = {Light.RED: [Light.GREEN, Light.BROKEN], Light.GREEN: [Light.RED], Light.BROKEN: []}

    def test_follows_its_table(self) -> None:
        lights = Transitions("Lamp", Light.RED, self.table)
        assert lights.check(Light.RED, Light.GREEN) == Light.GREEN

    def test_refuses_an_edge_that_is_not_there(self) -> None:
        with pytest.raises(InvalidStateTransition) as refusal:
            Transitions("Lamp", Light.RED, self.table).check(Light.GREEN, Light.BROKEN)
        assert refusal.value.message == "Lamp cannot go from green to broken."

    def test_refuses_at_start_up_a_state_without_a_row(self) -> None:
        with pytest.raises(ValueError, match="broken"):
            Transitions("Lamp", Light.RED, {Light.RED: [Light.GREEN], Light.GREEN: []})

    def test_refuses_at_start_up_a_state_without_a_way_in(self) -> None:
        with pytest.raises(ValueError, match="broken"):
            Transitions("Lamp", Light.RED, {Light.RED: [Light.GREEN], Light.GREEN: [], Light.BROKEN: []})

    def test_draws_itself(self) -> None:
        assert Transitions("Lamp", Light.RED, self.table).mermaid().splitlines()[1:3] == [
            "  [*] --> red",
            "  red --> broken",
        ]


class TestPrincipal:
    def test_may_do_what_it_was_granted_by_name_or_by_area(self) -> None:
        clerk = Principal(permissions=frozenset({"inventory.*", "catalog.read"}))
        assert [clerk.may(each) for each in ("inventory.adjust", "catalog.read", "catalog.write")] == [
            True,
            True,
            False,
        ]

    def test_may_do_everything_with_a_star(self) -> None:
        assert Principal(permissions=frozenset({"*"})).may("payments.refund")

    def test_works_at_its_own_stores_only(self) -> None:
        mine, other = uuid4(), uuid4()
        clerk = Principal(store_ids=frozenset({mine}))
        assert (clerk.works_at(mine), clerk.works_at(other)) == (True, False)

    def test_is_asked_to_log_in_where_a_person_is_needed(self) -> None:
        with pytest.raises(Unauthenticated):
            Principal().require_user()
