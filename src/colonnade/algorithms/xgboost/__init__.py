"""SageMaker's built-in XGBoost: hyperparameters, channels and metrics as published, trained by the xgboost library.

Published at https://docs.aws.amazon.com/sagemaker/latest/dg/xgboost_hyperparameters.html. This module is data and
cheap checks, which the control plane reads; `training.py` beside it imports the library.
"""

from __future__ import annotations

from colonnade.algorithms.contract import UserError
from colonnade.algorithms.contract.channels import Channel
from colonnade.algorithms.contract.examples import CSV, LIBSVM, PARQUET, RECORDIO
from colonnade.algorithms.contract.hyperparameters import Hyperparameter, Interval, Type, Values
from colonnade.algorithms.contract.job import Job
from colonnade.algorithms.contract.metrics import Metric
from colonnade.algorithms.xgboost import constraints

MAXIMIZED = (
    *("accuracy", "auc", "aucpr", "balanced_accuracy", "f1", "f1_binary", "f1_macro", "map", "ndcg"),
    *(
        "precision",
        "precision_macro",
        "precision_micro",
        "pre",
        "r2",
        "recall",
        "recall_macro",
        "recall_micro",
    ),
)
MINIMIZED = (
    *("error", "logloss", "merror", "mlogloss", "rmse", "rmsle", "mae", "mape", "mphe", "mse"),
    *("poisson-nloglik", "gamma-nloglik", "gamma-deviance", "cox-nloglik", "tweedie-nloglik"),
    *("aft-nloglik", "interval-regression-accuracy"),
)
OBJECTIVES = (
    *(
        "binary:logistic",
        "binary:logitraw",
        "binary:hinge",
        "count:poisson",
        "multi:softmax",
        "multi:softprob",
    ),
    *(
        "rank:pairwise",
        "rank:ndcg",
        "rank:map",
        "reg:linear",
        "reg:squarederror",
        "reg:logistic",
        "reg:gamma",
    ),
    *("reg:pseudohubererror", "reg:squaredlogerror", "reg:absoluteerror", "reg:tweedie"),
    *("survival:aft", "survival:cox"),
)
UPDATERS = (
    *("grow_colmaker", "distcol", "grow_histmaker", "grow_local_histmaker", "grow_quantile_histmaker"),
    *("grow_skmaker", "sync", "refresh", "prune", "shotgun", "coord_descent"),
)
_INTEGER, _CONTINUOUS, _CATEGORICAL, _FREE = Type.INTEGER, Type.CONTINUOUS, Type.CATEGORICAL, Type.FREE_TEXT
_POSITIVE = Interval(0)
_SHARE = Interval(0, 1)
_PART = Interval(0, 1, open_low=True)
_SWITCH = ("true", "false")


hyperparameters: tuple[Hyperparameter, ...] = (
    Hyperparameter("num_round", _INTEGER, Interval(1), required=True, tunable=Interval(1, 4000)),
    Hyperparameter("num_class", _INTEGER, Interval(2)),
    Hyperparameter("objective", _CATEGORICAL, OBJECTIVES, "reg:squarederror"),
    Hyperparameter(
        "eval_metric",
        _FREE,
        (*MAXIMIZED, *MINIMIZED),
        separator=",",
        accepts=constraints.is_thresholded,
        form="error@t, ndcg@n, map@n",
    ),
    Hyperparameter("booster", _CATEGORICAL, ("gbtree", "gblinear", "dart"), "gbtree"),
    Hyperparameter("tree_method", _CATEGORICAL, ("auto", "exact", "approx", "hist", "gpu_hist"), "auto"),
    Hyperparameter("eta", _CONTINUOUS, _SHARE, "0.3", aliases=("learning_rate",), tunable=Interval(0.1, 0.5)),
    Hyperparameter("gamma", _CONTINUOUS, _POSITIVE, "0", aliases=("min_split_loss",), tunable=Interval(0, 5)),
    Hyperparameter("max_depth", _INTEGER, _POSITIVE, "6", tunable=Interval(0, 10)),
    Hyperparameter("min_child_weight", _CONTINUOUS, _POSITIVE, "1", tunable=Interval(0, 120)),
    Hyperparameter("max_delta_step", _CONTINUOUS, _POSITIVE, "0", tunable=Interval(0, 10)),
    Hyperparameter("subsample", _CONTINUOUS, _PART, "1", tunable=Interval(0.5, 1)),
    Hyperparameter("sampling_method", _CATEGORICAL, ("uniform", "gradient_based"), "uniform"),
    Hyperparameter("colsample_bytree", _CONTINUOUS, _PART, "1", tunable=Interval(0.5, 1)),
    Hyperparameter("colsample_bylevel", _CONTINUOUS, _PART, "1", tunable=Interval(0.1, 1)),
    Hyperparameter("colsample_bynode", _CONTINUOUS, _PART, "1", tunable=Interval(0.1, 1)),
    Hyperparameter("lambda", _CONTINUOUS, _POSITIVE, "1", aliases=("reg_lambda",), tunable=Interval(0, 1000)),
    Hyperparameter("alpha", _CONTINUOUS, _POSITIVE, "0", aliases=("reg_alpha",), tunable=Interval(0, 1000)),
    Hyperparameter("lambda_bias", _CONTINUOUS, _SHARE, "0"),
    Hyperparameter("scale_pos_weight", _CONTINUOUS, Interval(0, open_low=True), "1"),
    Hyperparameter("base_score", _CONTINUOUS, _POSITIVE, "0.5"),
    Hyperparameter("max_leaves", _INTEGER, _POSITIVE, "0"),
    Hyperparameter("max_bin", _INTEGER, _POSITIVE, "256"),
    Hyperparameter("grow_policy", _CATEGORICAL, ("depthwise", "lossguide"), "depthwise"),
    Hyperparameter("num_parallel_tree", _INTEGER, Interval(1), "1"),
    Hyperparameter("process_type", _CATEGORICAL, ("default", "update"), "default"),
    Hyperparameter("refresh_leaf", _INTEGER, _SHARE, "1"),
    Hyperparameter("updater", _FREE, UPDATERS, separator=","),
    Hyperparameter("monotone_constraints", _FREE, (), accepts=constraints.is_monotone, form="(1,0,-1)"),
    Hyperparameter(
        "interaction_constraints", _FREE, (), accepts=constraints.is_interaction, form="[[0,1],[2,3]]"
    ),
    Hyperparameter("early_stopping_rounds", _INTEGER, Interval(1)),
    Hyperparameter("csv_weights", _INTEGER, _SHARE, "0"),
    Hyperparameter("seed", _INTEGER, Interval(-(2**31), 2**31 - 1), "0"),
    Hyperparameter("verbosity", _INTEGER, Interval(0, 3), "1"),
    Hyperparameter("nthread", _INTEGER, Interval(1)),
    Hyperparameter(
        "tweedie_variance_power", _CONTINUOUS, Interval(1, 2, open_low=True, open_high=True), "1.5"
    ),
    Hyperparameter("aft_loss_distribution", _CATEGORICAL, ("normal", "logistic", "extreme"), "normal"),
    Hyperparameter("aft_loss_distribution_scale", _CONTINUOUS, _POSITIVE, "1"),
    Hyperparameter("huber_slope", _CONTINUOUS, Interval(0, open_low=True), "1"),
    Hyperparameter("sample_type", _CATEGORICAL, ("uniform", "weighted"), "uniform"),
    Hyperparameter("normalize_type", _CATEGORICAL, ("tree", "forest"), "tree"),
    Hyperparameter("rate_drop", _CONTINUOUS, _SHARE, "0"),
    Hyperparameter("one_drop", _INTEGER, _SHARE, "0"),
    Hyperparameter("skip_drop", _CONTINUOUS, _SHARE, "0"),
    Hyperparameter("save_model_on_termination", _CATEGORICAL, _SWITCH, "false"),
    Hyperparameter("sketch_eps", _CONTINUOUS, Interval(0, 1, open_low=True, open_high=True), "0.03"),
    Hyperparameter("single_precision_histogram", _CATEGORICAL, _SWITCH, "false"),
    Hyperparameter("deterministic_histogram", _CATEGORICAL, _SWITCH, "true"),
    Hyperparameter("predictor", _CATEGORICAL, ("auto", "cpu_predictor", "gpu_predictor"), "auto"),
    Hyperparameter("dsplit", _CATEGORICAL, ("row", "col"), "row"),
    Hyperparameter("prob_buffer_row", _CONTINUOUS, Interval(1), "1.0"),
    Hyperparameter("use_dask_gpu_training", _CATEGORICAL, _SWITCH, "false"),
    Hyperparameter("_kfold", _INTEGER, Interval(2)),
    Hyperparameter("_num_cv_round", _INTEGER, Interval(1)),
    Hyperparameter(
        "_tuning_objective_metric",
        _FREE,
        (),
        accepts=constraints.names_metric(MAXIMIZED + MINIMIZED),
        form="validation:<metric>",
    ),
)

_DATA = (*LIBSVM, *CSV, *PARQUET, *RECORDIO)
channels: tuple[Channel, ...] = (
    Channel("train", required=True, content_types=_DATA, modes=("File", "FastFile", "Pipe")),
    Channel("validation", content_types=_DATA, modes=("File", "FastFile", "Pipe")),
    Channel("code"),
    Channel("model", content_types=("application/x-sagemaker-model",), modes=("File",)),
)

metrics: tuple[Metric, ...] = tuple(
    # CloudWatch shows the tab between the metrics of a line as #011, and AWS's own definitions say so; our logs keep it.
    Metric(
        f"{stage}:{name}",
        rf".*\[[0-9]+\].*(?:#011|\t){stage}-{name}:(\S+)",
        maximize=name in MAXIMIZED,
        tunable=stage == "validation",
    )
    for stage in ("train", "validation")
    for name in (*MAXIMIZED, *MINIMIZED)
)


def check(values: Values) -> None:
    constraints.check(values)


def train(job: Job) -> None:
    if len(job.folder.hosts()) > 1:
        raise UserError(
            f"XGBoost on {len(job.folder.hosts())} instances is not implemented yet. Set InstanceCount to 1."
        )
    from colonnade.algorithms.xgboost import training

    training.train(job)
