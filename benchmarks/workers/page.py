"""From the results to tables, verdicts and a page; nothing is measured here."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

from benchmarks.running import measured_on, table, verdict
from recsys_course.authoring.files import write_if_changed

ONE, TWO = "one process", "two workers"
KILLED = "two workers, one killed after the first epoch, all started again"
TOLERANCE = 1e-3  # of the largest weight: float32 sums taken in another order, over all steps


def losses(content: dict[str, Any]) -> str:
    """The loss of the first batch, summed over its rows, before anything is learned."""
    batch = content["settings"]["batch_size"]
    rows = [["summed softmax loss of the first batch", "all candidates gathered", "each replica alone"]]
    for name in (ONE, TWO):
        found = content["records"][name]
        rows.append([name, f"{found['gathered']:,.1f}", f"{found['alone']:,.1f}"])
    rows.append(
        [
            "B ln B; and for two halves B ln(B/2)",
            f"{batch * math.log(batch):,.1f}",
            f"{batch * math.log(batch / 2):,.1f}",
        ]
    )
    return table(rows)


def models(content: dict[str, Any]) -> str:
    """How far the trained models are from that of one process."""
    rows = [["trained by", "largest difference of a weight", "largest weight", "restarts", "wall s"]]
    for name, found in content["records"].items():
        cells = [f"{found['difference']:.2g}", f"{found['largest']:.2g}", str(found["restarts"])]
        rows.append([name, *cells, f"{found['wall_seconds']:.0f}"])
    return table(rows)


def verdicts(content: dict[str, Any]) -> list[str]:
    """What has to hold, each met or missed."""
    records, batch = content["records"], content["settings"]["batch_size"]
    one, two, killed = (records[name] for name in (ONE, TWO, KILLED))
    gap = abs(two["gathered"] / one["gathered"] - 1)
    lost = (one["gathered"] - two["alone"]) / batch
    return [
        verdict(gap < 1e-4, f"two workers' first loss is one process': apart by {gap:.1g} of it"),
        verdict(abs(lost - math.log(2)) < 0.1, f"without the gather a row loses ln 2 = 0.693 of its loss: {lost:.3f}"),
        *(
            verdict(
                found["difference"] < TOLERANCE * found["largest"],
                f"{name}: the model of one process, apart by {found['difference'] / found['largest']:.1g} of the "
                "largest weight",
            )
            for name, found in ((TWO, two), (KILLED, killed))
        ),
        verdict(killed["restarts"] == 1, f"the killed job was started again {killed['restarts']} times"),
    ]


def render(content: dict[str, Any]) -> str:
    """The page's Markdown."""
    settings = content["settings"]
    parts = [
        "<!-- Made by `make bench-workers` from benchmarks/results/workers.json: edit neither. -->",
        "# Two workers, measured",
        "Is a model that two processes train the model that one would have trained? How the program is written, and "
        "how it runs on a cluster, stands on [another page](../workers.md).",
        "```text\n" + "\n".join(verdicts(content)) + "\n```",
        "## The loss before anything is learned",
        losses(content),
        "Fresh embeddings give all candidates about the same affinity, so a row pays the logarithm of how many it is "
        "put against. Half of the candidates cost it ln 2. (A film that a batch holds twice is taken out as an "
        "accidental hit, which makes all figures a little smaller.)",
        "## The trained models",
        models(content),
        f"MovieLens {settings['dataset']}, {settings['epochs']} epochs, batches of {settings['batch_size']:,}, "
        f"embeddings of {settings['embedding_dim']}. Two processes on one machine share its cores and talk over "
        "loopback at every step, so the wall seconds show what that costs; they are no measure of a cluster.",
        f"*{measured_on(content)}*",
    ]
    return "\n\n".join(parts) + "\n"


def write(content: dict[str, Any], folder: Path) -> None:
    """The page."""
    write_if_changed(folder / "workers.md", render(content))
