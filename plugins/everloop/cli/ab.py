"""The commands `everloop ab`: plan, start, look at and stop an experiment between two releases."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from everloop.cli.arguments import UseCaseName, Why, loop_of
from everloop.decide.policy import Covariate, ExperimentPlan, Metric
from everloop.errors import ReleaseError

if TYPE_CHECKING:
    from everloop.decide.experiment.design import Design

commands = typer.Typer(help="Experiments between two releases: plan, start, look at and stop them.", no_args_is_help=True)


@commands.command()
def plan(
    use_case: UseCaseName,
    treatment: Annotated[str | None, typer.Option(help="A release; by default the last that was on trial or judged.")] = None,
    metric: Annotated[Metric, typer.Option(help="What is compared.")] = Metric.COST,
    effect: Annotated[float, typer.Option(help="The smallest difference that matters, as a share of the control's mean.")] = 0.05,
    absolute: Annotated[bool, typer.Option("--absolute", help="The effect is in the metric's own unit.")] = False,
    higher_is_better: Annotated[bool, typer.Option("--higher-is-better", help="By default lower is better.")] = False,
    weight: Annotated[float, typer.Option(help="The treatment's share of the entities.")] = 0.5,
    alpha: Annotated[float, typer.Option(help="The chance of a difference where there is none.")] = 0.05,
    power: Annotated[float, typer.Option(help="The chance to show the effect where there is one.")] = 0.8,
    segments: Annotated[str, typer.Option(help="Slices of the use case to tell apart, joined by commas.")] = "",
    covariate: Annotated[
        Covariate | None, typer.Option(help="What CUPED takes out; control by default, of latency before.")
    ] = None,
    days: Annotated[int, typer.Option(help="How much of the log, in days, shows the traffic.")] = 14,
    name: Annotated[str, typer.Option(help="What to call it.")] = "ab",
    save: Annotated[Path | None, typer.Option(help="Write the plan to this file, for `start`.")] = None,
) -> None:
    """Tell how many requests, labels and days an experiment needs, from the traffic that the log shows."""
    from dataclasses import replace

    from everloop.steps import experiment as steps

    loop = loop_of(use_case)
    control, last = steps.releases(loop.ledger, loop.use_case)
    if not (tried := treatment or last):
        raise ReleaseError(f"The ledger of {use_case} speaks of no release but the champion: name one by --treatment")
    draft = ExperimentPlan(
        name=name, control=control, treatment=tried, metric=metric, effect=effect, relative=not absolute,
        higher_is_better=higher_is_better, weight=weight, alpha=alpha, power=power,
        covariate=covariate or (Covariate.BEFORE if metric is Metric.LATENCY_MS else Covariate.CONTROL),
        segments=tuple(part for part in segments.split(",") if part),
    )  # fmt: skip
    found = steps.size(loop.traffic, loop.registry, loop.use_case, draft, days=days)
    for line in _told(draft, found, days):
        typer.echo(line)
    if save:
        save.write_bytes(steps.text(replace(draft, rows=found.rows)))
        typer.echo(f"Written to {save}: read it, then everloop ab start {use_case} {save} --reason ...")


@commands.command()
def start(
    use_case: UseCaseName, file: Annotated[Path, typer.Argument(help="What `plan --save` wrote, perhaps edited.")], reason: Why
) -> None:
    """Send the treatment its share of the entities; refused while a rollout or another experiment is under way."""
    import getpass

    from everloop.steps import experiment as steps

    loop, agreed = loop_of(use_case), steps.parse(file.read_bytes())
    ports = (loop.ledger, loop.registry, loop.scorer, loop.lake, loop.use_case)
    done = steps.start(*ports, agreed, actor=getpass.getuser(), reason=reason, now=datetime.now(UTC))
    typer.echo(f"{done['action']}: {done['reason']}")
    if not done["experiment"]:
        raise typer.Exit(1)
    typer.echo(f"{use_case}_experiment watches it: see that this graph is not paused in Airflow")


@commands.command()
def status(
    use_case: UseCaseName,
    html: Annotated[Path | None, typer.Option(help="Write the report to this file as a page.")] = None,
    json: Annotated[Path | None, typer.Option(help="Write it as JSON.")] = None,
) -> None:
    """Show what the experiment under way, or else the last one, shows by now."""
    from everloop.steps import experiment as steps

    loop, now = loop_of(use_case), datetime.now(UTC)
    standing = steps.latest(loop.ledger, use_case)
    if standing is None:
        typer.echo(f"{use_case}: no experiment was ever started")
        return
    readout = steps.read_again(loop.traffic, loop.registry, loop.lake, loop.use_case, standing)
    for line in steps.lines(standing, readout):
        typer.echo(line)
    for file, content in ((html, steps.page), (json, steps.as_json)):
        if file:
            file.write_text(content(use_case, standing, readout, now))
            typer.echo(f"Written to {file}")


@commands.command()
def stop(use_case: UseCaseName, reason: Why) -> None:
    """End the experiment under way: all traffic to the control, at once."""
    import getpass

    from everloop.steps import experiment as steps

    loop = loop_of(use_case)
    done = steps.stop(loop.ledger, loop.registry, loop.use_case, actor=getpass.getuser(), reason=reason, now=datetime.now(UTC))
    typer.echo(f"{done['action']}: {done['reason']}")


def _told(draft: ExperimentPlan, found: Design, days: int) -> Iterator[str]:
    of_what = "rows with a label" if draft.metric.labelled else "rows"
    yield f"treatment {draft.treatment} at {draft.weight:.0%} against control {draft.control}, {draft.metric}"
    yield f"the last {days} days show a mean of {found.mean:.4g}; a difference of {found.effect:.4g} is to be shown"
    yield f"{found.rows} {of_what}, {found.requests} requests, {found.days:.1f} days of such traffic"
    yield f"looked at once only it would be {found.fixed_rows}: to look at any time costs {found.inflation:.2f} times as many"
    for horizon, least in found.detectable.items():
        yield f"in {horizon} days a difference of {least:.4g} ({least / abs(found.mean):.1%} of the mean) can be shown"
