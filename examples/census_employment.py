"""Two models of who has a job, trained, served side by side, and compared on the traffic that they got. The main job.

    AWS_PROFILE=colonnade python examples/census_employment.py

Plain boto3: the account, the region and the address of the service come from the profile, so the same file runs against
Colonnade and against AWS. It makes what it needs (role, bucket, jobs, models, endpoint), says what it does, checks what it
got, deletes everything again, and ends with two tables. Exit status 1: a check failed.
"""

import random
import sys
from contextlib import ExitStack

from census.endpoint import deploy, shift_weights
from census.measures import auc
from census.place import DATA, prepare, upload_census
from census.report import report
from census.traffic import Checks, ask, ask_each_variant, check_split, labels_and_scores, read_rows
from census.training import final_auc, sklearn_job, train, upload_script, xgboost_job

CALLS = 2000
CALLS_AFTER_SHIFT = 1000
PINNED_CALLS = 20
LEAST_AUC = 0.85
"""Both kinds of model reach about .90 on this data; far below means that something was lost on the way."""


def main() -> int:
    checks = Checks()
    with ExitStack() as cleanup:
        say("1. A role, a bucket, and the census of 2015 in it")
        place = prepare(cleanup)
        upload_census(place)

        say("2. Training: the built-in XGBoost")
        boosted = train(place, xgboost_job(place), cleanup)
        say("3. Training: a scikit-learn script of our own")
        upload_script(place)
        scripted = train(place, sklearn_job(place), cleanup)
        for job in (boosted, scripted):
            found = final_auc(job)
            checks(f"{job['TrainingJobName']} ended with validation:auc {found:.4f}", found >= LEAST_AUC)

        say("4. One endpoint, two variants")
        endpoint = deploy(place, boosted, scripted, cleanup)

        say("5. The people of 2016 ask")
        people = read_rows(DATA / "2016.csv.gz")
        random.Random(2016).shuffle(people)
        even = ask(place, endpoint, people[:CALLS])
        check_split(checks, even, {"Model-A": 0.5, "Model-B": 0.5})
        pinned = ask_each_variant(place, endpoint, people[CALLS : CALLS + PINNED_CALLS], checks)
        shift_weights(place, endpoint, {"Model-A": 80, "Model-B": 20})
        shifted = ask(place, endpoint, people[-CALLS_AFTER_SHIFT:])
        check_split(checks, shifted, {"Model-A": 0.8, "Model-B": 0.2})

        answers = even + pinned + shifted
        for variant in ("Model-A", "Model-B"):
            found = auc(*labels_and_scores(answers, variant))
            checks(f"{variant} reached AUC {found:.4f} on the people it was asked about", found >= LEAST_AUC)
        say("6. Tidying up")
    print(report([boosted, scripted], even, shifted, answers))
    print(f"\n{checks.failed} checks failed" if checks.failed else "\nEverything held.")
    return 1 if checks.failed else 0


def say(step: str) -> None:
    print(f"\n{step}", flush=True)


if __name__ == "__main__":
    sys.exit(main())
