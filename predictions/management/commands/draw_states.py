from typing import Any

from django.core.management.base import BaseCommand

from predictions.models.states import TERMINAL, TRANSITIONS, State

PAGE = """# The states of a prediction

Drawn by `manage.py draw_states` from the only table of transitions, in `predictions/models/states.py`.

```mermaid
stateDiagram-v2
{lines}
```

| state | can become |
|---|---|
{rows}
"""


def diagram() -> str:
    """The page with the diagram (Mermaid) and the table."""
    lines = [f"    [*] --> {State.QUEUED.value}"]
    lines += [f"    {a.value} --> {b.value}" for a, following in TRANSITIONS.items() for b in following]
    lines += [f"    {state.value} --> [*]" for state in State if state in TERMINAL]
    rows = [
        f"| `{a.value}` | {', '.join(f'`{b.value}`' for b in bs) or 'nothing: it is final'} |"
        for a, bs in TRANSITIONS.items()
    ]
    return PAGE.format(lines="\n".join(lines), rows="\n".join(rows))


class Command(BaseCommand):
    help = "Prints the state diagram of a prediction."

    def handle(self, *args: Any, **options: Any) -> None:
        self.stdout.write(diagram())
