"""Two faults of different parts, drawn at random: the second begins while the first is being repaired."""

from tests.chaos.faults import FAULTS, PartFault
from tests.chaos.scenario import Scene, scenario

PAIRS = 30
QUICK_PAIRS = 2
RECOVERY_SECONDS = 35.0
# Each fault lasts between these times. The second begins at most this long after the end of the first.
SHORTEST, LONGEST = 1.0, 4.0
LATEST_START = 1.0


@scenario(
    "P12", seconds=0, rate=30, refuses=True, recovers=RECOVERY_SECONDS, longest=15.0, threads=8, settles=90,
    in_suite=True,
)  # fmt: skip
def pairs_of_faults(scene: Scene) -> None:
    """Thirty pairs of faults drawn at random from the seed: while one part is being repaired, a fault hits another.
    After each pair all rows are finished before the next pair begins. No row expires, since each has time."""
    count = QUICK_PAIRS if scene.stage.quick else PAIRS
    for number in range(count):
        first, second = draw(scene)
        print(f"         pair {number + 1}: {first.name}, then {second.name}", flush=True)
        inject(scene, first, second)
        scene.pause(1.0)
    scene.notes.append(f"{count} pairs")


def draw(scene: Scene) -> tuple[PartFault, PartFault]:
    while True:
        first, second = scene.random.sample(FAULTS, 2)
        if first.part != second.part:
            return first, second


def inject(scene: Scene, first: PartFault, second: PartFault) -> None:
    scene.mark_fault()
    with first.begin(scene):
        scene.pause(scene.random.uniform(SHORTEST, LONGEST))
    scene.pause(scene.random.uniform(0.0, LATEST_START))
    scene.mark_fault()
    with second.begin(scene):
        scene.pause(scene.random.uniform(SHORTEST, LONGEST))
    before = set(scene.ledger.accepted)
    scene.wait_until(lambda: scene.are_finished(before), 60, f"finished after: {first.name}, then {second.name}")
