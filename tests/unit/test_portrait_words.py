"""A portrait in plain words: all that it may hold can be told in both languages, and reads like sentences."""

# ruff: noqa: RUF001  (Chinese has punctuation of its own)

import re
from importlib import resources
from typing import Any, get_args

import msgspec
import pytest

from schemas import spec_file
from schemas.messages import TaskScore
from schemas.portrait import (
    Answer,
    Fact,
    OpenAlert,
    Portrait,
    Preference,
    Preferences,
    Product,
    Recent,
    Stage,
    StageRule,
    Standing,
    Turnover,
    Window,
)
from schemas.spec import Spec
from stream_app.portrait.figures import age, count, number, share
from stream_app.portrait.glossary import NAMES
from stream_app.portrait.stage import RULES
from stream_app.portrait.words import LANGUAGES, Language, words

BOTH: tuple[Language, ...] = get_args(Language)
STAGE = Stage(
    name="steady",
    rule="usual_pace",
    known_days=500.2,
    active_days=480.0,
    silence_days=1.5,
    pause_days=7.0,
    pause_by="rhythm",
    lapse_days=60.0,
    pace=14.2,
    usual_pace=15.0,
)
PLAIN = Portrait(
    customer_id="c-1",
    time=1_735_689_540_000,
    utc_offset_minutes=0,
    currency="EUR",
    bundle="0" * 16,
    layout="0" * 8,
    stage=STAGE,
    recency=Standing(feature="own_silence_h", value=1.5, percent=72, fifth=4),
    frequency=Standing(feature="count_30d", value=23.0, span_days=30, percent=64, fifth=4),
    monetary=Standing(feature="out_30d", value=1203.4, span_days=30, percent=0, fifth=1),
    windows=(
        Window(unit="h", size=24, count=1, inflow=0.0, outflow=4.0),
        Window(unit="d", size=30, count=23, inflow=2500.0, outflow=1203.4, largest=2500.0),
    ),
    turnover=(
        Turnover(
            type="loan_payment",
            initiator="customer",
            last_days=1.0,
            last_amount=300.0,
            recent=(Recent(days=30.0, count=1.0, amount=300.0), Recent(days=365.0, count=9.0, amount=2700.0)),
        ),
        Turnover(
            type="fee",
            initiator="bank",
            last_days=1.0,
            last_amount=2.0,
            recent=(Recent(days=30.0, count=1.0, amount=2.0), Recent(days=365.0, count=9.0, amount=20.0)),
        ),
        Turnover(
            type="groceries",
            initiator="customer",
            last_days=2.0,
            last_amount=30.0,
            recent=(Recent(days=30.0, count=9.0, amount=100.0), Recent(days=365.0, count=90.0, amount=1000.0)),
        ),
    ),
    balance=-12.5,
    tasks={
        "churn": Answer(
            kind="binary", label="inactive", horizon_days=60, score=TaskScore(eligible=True, score=0.034, band="low")
        ),
        "spends_less": Answer(
            kind="binary", label="spend_drop", horizon_days=60, drop=0.5, score=TaskScore(eligible=True, score=0.5)
        ),
        "credit_risk": Answer(
            kind="binary",
            label="outcome_within",
            horizon_days=90,
            outcome="default",
            score=TaskScore(eligible=True, score=0.2, band="high"),
        ),
        "applies": Answer(
            kind="binary",
            label="outcome_at",
            horizon_days=730,
            outcome="applies",
            score=TaskScore(eligible=True, score=0.9),
        ),
        "value": Answer(
            kind="value", label="outflow", horizon_days=60, score=TaskScore(eligible=True, score=6057.4, band="medium")
        ),
        "bill": Answer(
            kind="value",
            label="outcome_next",
            horizon_days=30,
            outcome="bill",
            score=TaskScore(eligible=True, score=2.0),
        ),
        "next_behaviour": Answer(
            kind="multiclass",
            label="next_type",
            horizon_days=30,
            score=TaskScore(
                eligible=True,
                score=0.6,
                choice="salary",
                probabilities={"cash": 0.2, "salary": 0.6, "fund": 0.15, "travel": 0.05},
            ),
        ),
        "preference": Answer(
            kind="multiclass",
            label="outcome_within",
            horizon_days=90,
            outcome="preference",
            score=TaskScore(eligible=True, score=0.9, choice="none", probabilities={"none": 0.9, "card": 0.1}),
        ),
        "risk_profile": Answer(
            kind="multiclass", label="outcome_next", horizon_days=180, score=TaskScore(eligible=False)
        ),
    },
    preferences=Preferences(
        task="preference",
        horizon_days=90,
        nothing=0.9,
        ranking=(
            Preference(
                type="card",
                because="score",
                probability=0.1,
                products=(Product(product_id="c", name="Gold card", type="card", price=4.9),),
            ),
        ),
    ),
    facts=(
        Fact(name="age", value=41.0, used=False),
        Fact(name="income", value=2400.55, used=True),
        Fact(name="has_loan", value="yes", used=True),
    ),
    alerts=(OpenAlert(rule="churn_high", severity="warning", time=1_735_000_000_000, suppressed=2, task="churn"),),
)


def changed(**fields: Any) -> Portrait:  # noqa: ANN401  (fields of a portrait)
    return msgspec.structs.replace(PLAIN, **fields)


def staged(**fields: Any) -> Portrait:  # noqa: ANN401  (fields of a stage)
    return changed(stage=msgspec.structs.replace(STAGE, **fields))


def unfit(sentences: list[str], language: Language) -> list[str]:
    """Return the sentences that do not read like sentences of the language."""
    found = []
    for sentence in sentences:
        end = sentence.endswith("." if language == "en" else "。")
        placeholder = re.search(r"[{}]|None|nan|inf|  |\b_|_\b|lambda|Stage\(", sentence)
        script = re.search(r"[\u3000-\u9fff]", sentence) if language == "en" else None
        if not end or placeholder or script or not sentence.strip():
            found.append(sentence)
    return found


EMPTY = changed(
    recency=Standing(feature="own_silence_h", value=None),
    frequency=Standing(feature="count_30d", value=0.0, span_days=30),
    monetary=Standing(feature="out_30d", value=0.0, span_days=30),
    windows=(Window(unit="d", size=1, count=0, inflow=0.0, outflow=0.0, largest=0.0),),
    turnover=(),
    balance=None,
    tasks={},
    preferences=None,
    facts=(),
    alerts=(),
)


@pytest.mark.parametrize("language", BOTH)
@pytest.mark.parametrize(
    "portrait",
    [
        PLAIN,
        EMPTY,
        changed(preferences=Preferences(ranking=PLAIN.preferences.ranking) if PLAIN.preferences else None),
        changed(preferences=Preferences(ranking=())),
        changed(currency="XYZ", utc_offset_minutes=330),
        changed(turnover=PLAIN.turnover[1:2]),
    ],
    ids=["whole", "empty", "by use", "no ranking", "elsewhere", "fees only"],
)
def test_whatever_a_portrait_holds_or_lacks_is_told_in_sentences(portrait: Portrait, language: Language) -> None:
    assert unfit(words(portrait, language), language) == []


@pytest.mark.parametrize("language", BOTH)
@pytest.mark.parametrize("rule", RULES, ids=[rule.name for rule in RULES])
def test_every_rule_of_every_stage_is_told_in_its_own_words(rule: Any, language: Language) -> None:  # noqa: ANN401  (a row of the table)
    variants = [
        staged(name=rule.stage, rule=rule.name, away_days=90.0, back_days=3.0, task="churn"),
        staged(name=rule.stage, rule=rule.name, pause_by="default", away_days=90.0, back_days=1.0, task="churn"),
        staged(
            name=rule.stage,
            rule=rule.name,
            pause_by="limit",
            pace=None,
            usual_pace=None,
            away_days=61.0,
            back_days=0.1,
            task="churn",
        ),
    ]
    told = [words(portrait, language)[1] for portrait in variants]
    assert unfit(told, language) == []
    others = [
        words(staged(name=rule.stage, rule=name), language)[1] for name in get_args(StageRule) if name != rule.name
    ]
    assert told[0] not in others


def test_a_sentence_that_is_none_would_be_noticed() -> None:
    for text in ("no end", "a {hole}.", "None days.", "two  spaces.", "a _name.", ""):
        assert unfit([text], "en") == [text]
    assert unfit(["一句话。"], "en") == ["一句话。"]


def test_a_portrait_reads_in_english_as_a_clerk_would_say_it() -> None:
    assert words(PLAIN, "en") == [
        "Customer c-1, as of 31 December 2024 23:59 UTC.",
        "Steady: active as usual, about 14 own transactions in 30 days.",
        "Last active 36 hours ago: more recently than 72 % of customers (band 4 of 5).",
        "23 transactions in the last 30 days: more than 64 % of customers (band 4 of 5).",
        "EUR 1,203.40 went out in the last 30 days: among the least (band 1 of 5).",
        "EUR 2,500.00 came in over the same days.",
        "Of late most was moved by loan payment (75 %) and groceries (25 %).",
        "The balance told last was EUR -12.50.",
        "Churn: 3.4 % likely to stay silent for the next 60 days (low).",
        "Spends less: 50 % likely to spend in the next 60 days less than 50 % of what it was before.",
        "Credit risk: 20 % likely to end in default within 90 days (high).",
        "Applies: 90 % likely to happen.",
        "Value: about EUR 6,057.40 to be spent in the next 60 days (medium).",
        "Bill: about EUR 2.00 expected within 30 days.",
        "Next behaviour: the next transaction is most likely salary (60 %), then cash (20 %), then fund (15 %).",
        "Not asked for this customer now: risk profile.",
        "Preference: within 90 days most likely no product (90 %), then card (Gold card, 10 %).",
        "On file: income (2,400.55), has loan (yes).",
        "On file, but unknown to the scores: age (41).",
        "Open alert churn high (warning) of 24 December 2024 00:26 UTC, held 2 more times since.",
    ]


def test_a_portrait_reads_in_chinese_as_a_clerk_would_say_it() -> None:
    assert words(PLAIN, "zh") == [
        "客户 c-1，截至 2024 年 12 月 31 日 23:59（UTC）。",
        "生命周期阶段：稳定期。活跃度正常，每 30 天约 14 笔主动交易。",
        "最近一次主动交易在 36 小时前，比 72% 的客户更近（五档中的第 4 档）。",
        "最近 30 天共 23 笔交易，多于 64% 的客户（五档中的第 4 档）。",
        "最近 30 天支出 1,203.40 欧元，属于支出最少的客户（五档中的第 1 档）。",
        "同期收入 2,500.00 欧元。",
        "近期资金往来以贷款还款（75%）、日用杂货（25%）为主。",
        "最近一次记录的余额为 -12.50 欧元。",
        "流失：未来 60 天内没有主动交易的可能性为 3.4%（低）。",
        "spends_less：未来 60 天的支出降到此前的 50% 以下的可能性为 50%。",
        "信用风险：未来 90 天内发生违约的可能性为 20%（高）。",
        "applies：发生的可能性为 90%。",
        "客户价值：预计未来 60 天支出约 6,057.40 欧元（中）。",
        "bill：预计未来 30 天内约 2.00 欧元。",
        "下一步行为：下一笔交易最可能是工资（60%），其次是现金（20%），再次是基金（15%）。",
        "目前不对该客户评估：投资风格。",
        "产品偏好：未来 90 天内最可能不购买任何产品（90%），其次是银行卡（Gold card，10%）。",
        "已登记信息：收入（2,400.55）、有贷款（是）。",
        "已登记但不用于评分的信息：年龄（41）。",
        "未解除的预警：流失可能性高（警告），发生于 2024 年 12 月 24 日 00:26（UTC），此后条件又满足 2 次。",
    ]


def names(spec: Spec) -> set[str]:
    """Return all that a portrait may name of a spec."""
    attributes = {value for item in spec.attributes for value in (item.name, *item.values)}
    classes = {value for task in spec.tasks if task.kind == "multiclass" for value in spec.classes(task)}
    bands = {band.name for task in spec.tasks for band in task.bands}
    outcomes = {task.outcome_name for task in spec.tasks if task.label.startswith("outcome")}
    tasks, rules = {task.name for task in spec.tasks}, {rule.name for rule in spec.rules}
    return attributes | classes | bands | outcomes | tasks | rules | {item.name for item in spec.types}


@pytest.mark.parametrize(
    ("package", "file"),
    [
        ("schemas", "bank.toml"),
        *(("training.datasets", f"{name}.toml") for name in ("berka", "online_retail", "taiwan")),
    ],
)
def test_all_that_a_shipped_spec_names_has_a_name_in_chinese(package: str, file: str) -> None:
    spec = spec_file.parse(resources.files(package).joinpath(file).read_text(encoding="utf-8"), file)

    assert names(spec) - set(NAMES) == set()
    assert "churn" in names(spec)


def test_a_month_before_is_told_as_such_in_chinese() -> None:
    facts = (Fact(name="owed_2", value=5.0, used=True), Fact(name="status", value="late_1", used=True))

    assert "已登记信息：2 个月前的欠款（5）、还款状态（逾期 1 个月）。" in words(changed(facts=facts), "zh")


def test_what_comes_next_is_told_with_its_horizon_where_it_is_no_transaction() -> None:
    score = TaskScore(eligible=True, score=0.9, choice="late", probabilities={"late": 0.9, "no_use": 0.1})
    task = Answer(kind="multiclass", label="outcome_next", horizon_days=31, outcome="next_behaviour", score=score)

    told = [words(changed(tasks={"next_behaviour": task}, preferences=None), language)[8] for language in BOTH]

    assert told == [
        "Next behaviour: within 31 days most likely late (90 %), then no use (10 %).",
        "下一步行为：未来 31 天内最可能是逾期（90%），其次是未用卡（10%）。",
    ]


def test_what_was_just_now_is_less_than_an_hour_ago() -> None:
    just_now = changed(recency=msgspec.structs.replace(PLAIN.recency, value=0.01))
    assert words(just_now, "en")[2].startswith("Last active less than an hour ago: ")
    assert words(just_now, "zh")[2].startswith("最近一次主动交易在不到 1 小时前，")


def test_products_that_are_likelier_than_none_are_told_as_such() -> None:
    preferences = msgspec.structs.replace(PLAIN.preferences or Preferences(ranking=()), nothing=0.05)
    for language, text in (("en", "within 90 days likely products are card"), ("zh", "可能需要的产品：银行卡")):
        told = words(changed(preferences=preferences), language)  # type: ignore[arg-type]
        assert any(text in sentence for sentence in told)


@pytest.mark.parametrize("language", BOTH)
def test_what_a_name_holds_does_not_steer_the_terminal(language: Language) -> None:
    told = words(changed(customer_id="c\x1b[2J\nnew"), language)
    assert "c\\x1b[2J\\nnew" in told[0]
    assert all(sentence.isprintable() for sentence in told)


def test_local_time_is_told_with_its_offset() -> None:
    assert words(changed(utc_offset_minutes=330), "en")[0] == "Customer c-1, as of 1 January 2025 05:29 UTC+05:30."
    assert words(changed(utc_offset_minutes=-480), "zh")[0] == "客户 c-1，截至 2024 年 12 月 31 日 15:59（UTC-08:00）。"


def test_both_languages_tell_equally_much() -> None:
    assert set(LANGUAGES) == set(BOTH)
    for portrait in (PLAIN, EMPTY):
        assert len({len(words(portrait, language)) for language in BOTH}) == 1


@pytest.mark.parametrize(
    ("part", "text"),
    [(0.0, "0"), (0.00001, "0.1"), (0.034, "3.4"), (0.0999, "10"), (0.12, "12"), (0.998, "99.9"), (1.0, "100")],
)
def test_shares_are_told_as_percent_that_never_say_certain_without_being_it(part: float, text: str) -> None:
    assert share(part) == text


def test_numbers_are_told_short() -> None:
    assert [number(value) for value in (0.0, 1200.0, 1234.5, -0.126)] == ["0", "1,200", "1,234.5", "-0.13"]
    assert [count(value) for value in (0.04, 0.8, 8.0, 9.94, 12.6, 1234.2)] == ["0", "0.8", "8", "9.9", "13", "1,234"]
    assert [age(days) for days in (0.0, 1.99, 2.0, 3649.6)] == [(0, "h"), (48, "h"), (2, "d"), (3650, "d")]
