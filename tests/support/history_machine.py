"""State machine that compares the history with a slow oracle."""

from __future__ import annotations

from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule
from support import playbook as pb
from support.playbook import Event, Playbook

from runner.core.events import SessionError


class Oracle:
    """The history as one would write it without a thought for speed."""

    def __init__(self) -> None:
        self.items: list[Event] = []
        self.deleted: set[str] = set()
        self.chains = False

    def find(self, name: str) -> Event | None:
        return next((i for i in self.items if i["id"] == name), None)

    def place(self, entry: Event, event: Event) -> None:
        names = [i["id"] for i in self.items]
        previous = event.get("previous_item_id")
        entry["guessed"] = "previous_item_id" not in event
        at = len(self.items)
        if previous not in (None, "root"):
            self.chains = True
            if previous in names:
                at = names.index(previous) + 1
        elif previous == "root" or (self.chains and not entry["guessed"]):
            at = 0
        self.items.insert(at, entry)

    def upsert(self, event: Event, default: str, *, revives: bool) -> None:
        item = event["item"]
        entry = self.find(item["id"])
        if entry is None:
            if item["id"] in self.deleted and not revives:
                return
            self.deleted.discard(item["id"])
            entry = {"id": item["id"], "role": item["role"], "status": "in_progress",
                     "text": None, "final": False}  # fmt: skip
            self.place(entry, event)
        elif entry["guessed"] and "previous_item_id" in event:
            self.items.remove(entry)
            self.place(entry, event)
        status = item.get("status") or default
        if entry["status"] == "in_progress" or status != "in_progress":
            entry["status"] = status
        texts = [p.get("transcript") or p.get("text") for p in item["content"]]
        if texts and texts[0] and (status != "in_progress" or entry["text"] is None):
            entry["text"], entry["final"] = texts[0], False

    def apply(self, event: Event) -> None:
        kind = event["type"]
        name = event.get("item_id", "")
        entry = self.find(name)
        if kind.startswith("conversation.item.") and "item" in event:
            added = kind.endswith("added")
            self.upsert(event, "in_progress" if added else "completed", revives=added)
        elif kind == "response.output_item.added":
            self.upsert(event, "in_progress", revives=False)
        elif kind == "response.output_item.done":
            self.upsert(event, "completed", revives=False)
        elif kind.endswith("transcript.delta"):
            if entry is not None and not entry["final"]:
                entry["text"] = (entry["text"] or "") + event["delta"]
        elif kind.endswith("transcript.done"):
            if entry is None and name not in self.deleted:
                entry = {"id": name, "role": "assistant", "status": "in_progress", "text": None}
                self.place(entry, {})
            if entry is not None:
                entry["text"], entry["final"] = event["transcript"], True
        elif kind.endswith("transcription.completed"):
            if entry is None and name not in self.deleted:
                entry = {"id": name, "role": "user", "text": None}
                self.place(entry, {})
            if entry is not None:
                entry |= {"text": event["transcript"], "final": True, "status": "completed"}
        elif kind == "conversation.item.deleted":
            self.deleted.add(name)
            if entry is not None:
                self.items.remove(entry)


names = st.sampled_from(["a", "b", "c", "d", "e"])
words = st.sampled_from(["one ", "two ", "three"])
places = st.one_of(
    st.just({}),
    st.sampled_from([None, "root", "a", "b", "c", "nobody"]).map(lambda p: {"previous_item_id": p}),
)
statuses = st.sampled_from(["in_progress", "completed", "incomplete"])


class HistoryMachine(RuleBasedStateMachine):
    """Events in any order, any number of times, about five items."""

    def __init__(self) -> None:
        super().__init__()
        self.play = Playbook().open()
        self.oracle = Oracle()
        self.sent: list[Event] = []

    def feed(self, event: Event) -> None:
        self.sent.append(event)
        self.play >> event
        assert not self.play.told(SessionError)
        self.oracle.apply(event)

    @rule(name=names, kind=st.sampled_from(["added", "done"]), place=places, status=statuses,
          text=st.none() | words)  # fmt: skip
    def item(self, name: str, kind: str, place: Event, status: str, text: str | None) -> None:
        self.feed(pb.item(kind, pb.message(name, status, text), **place))

    @rule(name=names, kind=st.sampled_from(["added", "done"]), status=statuses)
    def output_item(self, name: str, kind: str, status: str) -> None:
        self.feed(pb.output_item(kind, "r1", pb.message(name, status)))

    @rule(name=names, word=words)
    def delta(self, name: str, word: str) -> None:
        self.feed(pb.spoken_delta("r1", name, word))

    @rule(name=names, word=words)
    def spoken(self, name: str, word: str) -> None:
        self.feed(pb.spoken_done("r1", name, word))

    @rule(name=names, word=words)
    def transcription(self, name: str, word: str) -> None:
        self.feed(pb.transcribed(name, word))

    @rule(name=names)
    def delete(self, name: str) -> None:
        self.feed({"type": "conversation.item.deleted", "item_id": name})

    @precondition(lambda self: self.sent)
    @rule(index=st.integers(0, 20))
    def again(self, index: int) -> None:
        self.feed(self.sent[-1 - index % len(self.sent)])

    @invariant()
    def equals_the_oracle(self) -> None:
        found = [(i.item_id, i.role, i.status, i.text) for i in self.play.core.history]
        keys = ("id", "role", "status", "text")
        assert found == [tuple(i.get(k) for k in keys) for i in self.oracle.items]
