"""A portrait in Chinese."""

# ruff: noqa: RUF001  (Chinese has punctuation of its own)

from collections.abc import Callable
from typing import Final

from schemas.portrait import Answer, OpenAlert, Portrait, Preference, Stage, StageName, StageRule, Standing
from stream_app.portrait.figures import (
    age,
    count,
    for_and_against,
    leading_types,
    likely_classes,
    local,
    longest_window,
    number,
    share,
    takes_nothing,
    told_tasks,
)
from stream_app.portrait.glossary import CURRENCIES, NAMES

_STAGES: Final[dict[StageName, str]] = {
    "new": "新客户",
    "growing": "成长期",
    "steady": "稳定期",
    "at_risk": "流失预警",
    "lapsed": "已流失",
    "won_back": "回流",
}


def sentences(portrait: Portrait) -> list[str]:
    """Return a portrait as sentences in Chinese."""
    return [
        f"客户 {portrait.customer_id}，截至{_moment(portrait.time, portrait)}。",
        f"生命周期阶段：{_STAGES[portrait.stage.name]}。{_RULES[portrait.stage.rule](portrait.stage)}。",
        *_standings(portrait),
        *_money(portrait),
        *(_answer(name, task, portrait) + _why(task) for name, task in told_tasks(portrait)),
        *_not_asked(portrait),
        *_preferences(portrait),
        *_facts(portrait),
        *_alerts(portrait),
    ]


def _habit(stage: Stage) -> str:
    pause = _age(stage.pause_days)
    return {
        "rhythm": f"该客户平时的间隔一般不超过{pause}",
        "limit": f"任何客户间隔{pause}都属于较长",
        "default": f"该客户尚无固定规律，超过{pause}即视为间隔过长",
    }[stage.pause_by]


def _pace(stage: Stage) -> str:
    return f"近期每 30 天约 {count(stage.pace or 0.0)} 笔主动交易，平时约 {count(stage.usual_pace or 0.0)} 笔"


_RULES: Final[dict[StageRule, Callable[[Stage], str]]] = {
    "not_active_yet": lambda s: f"建立关系{_age(s.known_days)}，尚无主动交易",
    "never_active": lambda s: f"建立关系{_age(s.known_days)}，从未有过主动交易",
    "silent_for_long": lambda s: f"已{_age(s.silence_days)}没有主动交易，超过{_age(s.lapse_days)}即视为流失",
    "silent_beyond_habit": lambda s: f"已{_age(s.silence_days)}没有主动交易；{_habit(s)}",
    "back_after_pause": lambda s: f"中断{_age(s.away_days)}后，于{_age(s.back_days)}前重新开始交易",
    "active_again": lambda _: "经过较长的沉寂期后重新活跃",
    "first_months": lambda s: f"首笔主动交易至今{_age(s.active_days)}",
    "churn_score": lambda s: f"“{_name(s.task or '')}”评分偏高",
    "pace_falls": lambda s: f"活跃度下降，{_pace(s)}",
    "pace_rises": lambda s: f"活跃度上升，{_pace(s)}",
    "usual_pace": lambda s: "活跃度正常" + ("" if s.pace is None else f"，每 30 天约 {count(s.pace)} 笔主动交易"),
}


def _standings(portrait: Portrait) -> list[str]:
    days, window = portrait.recency.value, longest_window(portrait)
    last = "至今没有主动交易" if days is None else f"最近一次主动交易在{_age(days)}前"
    span, spent = _span(window.size), _money_of(window.outflow, portrait)
    return [
        f"{last}{_beside(portrait.recency, '比 {}% 的客户更近', '属于最久未交易的客户')}。",
        f"{span}共 {window.count:,} 笔交易{_beside(portrait.frequency, '多于 {}% 的客户', '属于交易最少的客户')}。",
        f"{span}支出 {spent}{_beside(portrait.monetary, '高于 {}% 的客户', '属于支出最少的客户')}。",
    ]


def _beside(standing: Standing, text: str, least: str) -> str:
    if standing.fifth is None:
        return ""
    return f"，{text.format(standing.percent) if standing.percent else least}（五档中的第 {standing.fifth} 档）"


def _money(portrait: Portrait) -> list[str]:
    window = longest_window(portrait)
    found = [f"同期收入 {_money_of(window.inflow, portrait)}。"] if window.inflow else []
    types = leading_types(portrait)
    if types:
        found.append(f"近期资金往来以{'、'.join(f'{_name(kind)}（{share(part)}%）' for kind, part in types)}为主。")
    if portrait.balance is not None:
        found.append(f"最近一次记录的余额为 {_money_of(portrait.balance, portrait)}。")
    if portrait.recency.fifth is None:
        found.append("此模型包不含其他客户的分布，因此没有分档。")
    return found


def _answer(name: str, task: Answer, portrait: Portrait) -> str:
    score, within = task.score, _age(task.horizon_days)
    band = f"（{_name(score.band)}）" if score.band else ""
    if task.kind == "value":
        what = "支出约" if task.label == "outflow" else "内约"
        return f"{_name(name)}：预计未来{within}{what} {_money_of(score.score or 0.0, portrait)}{band}。"
    if task.kind == "binary":
        return f"{_name(name)}：{_event(name, task)}的可能性为 {share(score.score or 0.0)}%{band}。"
    likely = [f"{_name(label)}（{share(part)}%）" for label, part in likely_classes(score)]
    when = {"next_type": "下一笔交易", "outcome_at": ""}.get(task.label, f"未来{within}内")
    return f"{_name(name)}：{when}最可能是{_ranked(likely)}。"


def _why(task: Answer) -> str:
    up, down = ("；".join(texts) for texts in for_and_against(task))
    return (f"推高因素：{up}。" if up else "") + (f"拉低因素：{down}。" if down else "")


def _ranked(likely: list[str]) -> str:
    return "".join(before + item for before, item in zip(("", "，其次是", "，再次是"), likely, strict=False))


def _event(name: str, task: Answer) -> str:
    within = _age(task.horizon_days)
    if task.label == "inactive":
        return f"未来{within}内没有主动交易"
    if task.label == "activated":
        return f"建档后{within}内开始活跃"
    if task.label == "spend_drop":
        return f"未来{within}的支出降到此前的 {share(task.drop or 0.0)}% 以下"
    outcome = "发生" if task.outcome in {None, name} else f"发生{_name(task.outcome or '')}"
    return outcome if task.label == "outcome_at" else f"未来{within}内{outcome}"


def _not_asked(portrait: Portrait) -> list[str]:
    names = [_name(name) for name, task in portrait.tasks.items() if not task.score.eligible]
    return [f"目前不对该客户评估：{'、'.join(names)}。"] if names else []


def _preferences(portrait: Portrait) -> list[str]:
    found = portrait.preferences
    if found is None or not found.ranking:
        return []
    told = [_preference(item) for item in found.ranking]
    if found.task is None:
        return [f"与最常使用的类别相符的产品：{'；'.join(told)}。"]
    start = f"{_name(found.task)}：未来{_age(found.horizon_days)}内"
    if takes_nothing(found):
        return [f"{start}最可能不购买任何产品（{share(found.nothing or 0.0)}%），其次是{told[0]}。"]
    return [f"{start}可能需要的产品：{'；'.join(told)}。"]


def _preference(item: Preference) -> str:
    likely = f"，{share(item.probability)}%" if item.probability is not None else ""
    return f"{_name(item.type)}（{'、'.join(product.name for product in item.products)}{likely}）"


def _facts(portrait: Portrait) -> list[str]:
    found = []
    for used, text in ((True, "已登记信息"), (False, "已登记但不用于评分的信息")):
        told = [f"{_name(fact.name)}（{_value(fact.value)}）" for fact in portrait.facts if fact.used is used]
        if told:
            found.append(f"{text}：{'、'.join(told)}。")
    return found


def _alerts(portrait: Portrait) -> list[str]:
    return [_alert(alert, portrait) for alert in portrait.alerts] or ["当前没有未解除的预警。"]


def _alert(alert: OpenAlert, portrait: Portrait) -> str:
    again = f"，此后条件又满足 {alert.suppressed:,} 次" if alert.suppressed else ""
    when = _moment(alert.time, portrait)
    return f"未解除的预警：{_name(alert.rule)}（{_severity(alert.severity)}），发生于{when}{again}。"


def _severity(severity: str) -> str:
    return "严重" if severity == "high" else _name(severity)


def _age(days: float | None) -> str:
    number_of, unit = age(days or 0.0)
    return f" {number_of:,} {'小时' if unit == 'h' else '天'}" if number_of else "不到 1 小时"


def _span(days: int) -> str:
    return "当天" if days == 1 else f"最近 {days} 天"


def _money_of(amount: float, portrait: Portrait) -> str:
    return f"{amount:,.2f} {CURRENCIES.get(portrait.currency, portrait.currency)}"


def _moment(time_ms: int, portrait: Portrait) -> str:
    moment = local(time_ms, portrait.utc_offset_minutes)
    zone = moment.strftime("%z")
    offset = "" if zone == "+0000" else f"{zone[:3]}:{zone[3:]}"
    return f" {moment.year} 年 {moment.month} 月 {moment.day} 日 {moment:%H:%M}（UTC{offset}）"


def _name(name: str) -> str:
    return NAMES.get(name, name)


def _value(value: float | str) -> str:
    return _name(value) if isinstance(value, str) else number(value)
