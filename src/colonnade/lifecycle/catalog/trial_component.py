"""Trial components: a step of a trial (parameters, inputs, outputs), in any number of trials. A component knows its trials."""

from __future__ import annotations

from collections.abc import Sequence

from colonnade.kernel.operations import Call, Effect, Result, operation
from colonnade.kernel.resources import Refusal, Resource
from colonnade.kernel.store import Document, Reader, Stored, each
from colonnade.lifecycle.catalog.experiment import EXPERIMENTS
from colonnade.lifecycle.catalog.trial import TRIALS

TRIAL_COMPONENTS = Resource(
    "sagemaker",
    "TrialComponent",
    arn_kind="experiment-trial-component",
    merged=["Parameters", "InputArtifacts", "OutputArtifacts"],
    missing=Refusal("ResourceNotFound", 'TrialComponent "{arn}" does not exist.'),
    duplicate=Refusal(
        "ValidationException",
        "TrialComponent names must be unique within an AWS account and region. TrialComponent with name ({name}) already "
        "exists.",
    ),
    effect=Effect.STORED,
)
TRIAL_COMPONENTS.serve("Create", "Describe", "Update", "Delete")
_TRIALS = "_Trials"
"""The names in lower case of the trials that a component is in."""


def _both(call: Call) -> Sequence[tuple[str, str]]:
    named = (TRIALS.key(call), TRIAL_COMPONENTS.key(call))
    arns = (TRIALS.arn(named[0]), TRIAL_COMPONENTS.arn(named[1]))
    return [(f"sagemaker:{call.operation}", arn) for arn in arns]


@operation("sagemaker", "AssociateTrialComponent", effect=Effect.STORED, demand=_both)
def associate_trial_component(call: Call) -> Result:
    def edit(component: Document) -> None:
        component[_TRIALS] = sorted({*component.get(_TRIALS, []), TRIALS.key(call).name})

    with call.write() as transaction:
        TRIALS.get(transaction, TRIALS.key(call))
        TRIAL_COMPONENTS.change(transaction, TRIAL_COMPONENTS.key(call), edit, at=call.now)
    return _arns(call)


@operation("sagemaker", "DisassociateTrialComponent", effect=Effect.STORED, demand=_both)
def disassociate_trial_component(call: Call) -> Result:
    def edit(component: Document) -> None:
        component[_TRIALS] = [name for name in component.get(_TRIALS, []) if name != TRIALS.key(call).name]

    with call.write() as transaction:
        TRIALS.get(transaction, TRIALS.key(call))
        TRIAL_COMPONENTS.change(transaction, TRIAL_COMPONENTS.key(call), edit, at=call.now)
    return _arns(call)


@operation("sagemaker", "ListTrials", effect=Effect.STORED)
def list_trials(call: Call) -> Result:
    name = call.parameters.get("TrialComponentName")
    if name is None:
        return TRIALS.list(call)
    component = TRIAL_COMPONENTS.find(call.platform, TRIAL_COMPONENTS.key(call))
    trials = component.document.get(_TRIALS, [])
    return TRIALS.list(call, keep=lambda trial: trial.key.name in trials, kept=["TrialComponentName"])


@operation("sagemaker", "ListTrialComponents", effect=Effect.STORED)
def list_trial_components(call: Call) -> Result:
    trials = _wanted_trials(call)
    kept = ["TrialName", "ExperimentName", "SourceArn"]
    source = call.parameters.get("SourceArn")

    def keep(component: Stored) -> bool:
        if source is not None and component.document.get("Source", {}).get("SourceArn") != source:
            return False
        return trials is None or not trials.isdisjoint(component.document.get(_TRIALS, []))

    return TRIAL_COMPONENTS.list(call, keep=keep, kept=kept)


def _wanted_trials(call: Call) -> set[str] | None:
    """None for any, in a trial or not."""
    with call.platform.store.read() as reader:
        if "TrialName" in call.parameters:
            return {TRIALS.get(reader, TRIALS.key(call)).key.name}
        if "ExperimentName" not in call.parameters:
            return None
        experiment = EXPERIMENTS.get(reader, EXPERIMENTS.key(call)).document["ExperimentName"]
        trials = each(reader, TRIALS.scope(call.account, call.region))
        return {trial.key.name for trial in trials if trial.document["ExperimentName"] == experiment}


@TRIALS.holds
def _component_of(reader: Reader, trial: Stored) -> str:
    for component in each(reader, TRIAL_COMPONENTS.scope(trial.key.account, trial.key.region)):
        if trial.key.name in component.document.get(_TRIALS, []):
            name = component.document["TrialComponentName"]
            return f"it still has the trial component {name}. Disassociate that first."
    return ""


@TRIAL_COMPONENTS.holds
def _trial_of(reader: Reader, component: Stored) -> str:
    trials = component.document.get(_TRIALS, [])
    return f"it is in the trial {trials[0]}. Disassociate it first." if trials else ""


def _arns(call: Call) -> Result:
    return {
        "TrialComponentArn": TRIAL_COMPONENTS.arn(TRIAL_COMPONENTS.key(call)),
        "TrialArn": TRIALS.arn(TRIALS.key(call)),
    }
