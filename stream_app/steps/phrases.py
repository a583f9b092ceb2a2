"""Says what a feature is in words: templates of the spec, or else the built-in ones, in English or Chinese."""

# ruff: noqa: RUF001  (Chinese has punctuation of its own)

import fnmatch
import re
from collections.abc import Callable
from functools import cache
from typing import Final, NamedTuple

from schemas.spec import Spec
from stream_app.portrait.glossary import CURRENCIES, NAMES

_DAY_H: Final = 24.0
_TWO_DAYS: Final = 48.0
_UNKNOWN: Final = {"en": "unknown", "zh": "未知"}


class Phrase(NamedTuple):
    """Templates of the features whose whole name a pattern matches; its groups may stand in the templates."""

    pattern: str
    unit: str
    en: str
    zh: str


BUILT_IN: Final = (
    Phrase(r"count_(?P<n>\d+)h", "count", "{value} transactions in {n} h", "{n} 小时内 {value} 笔交易"),
    Phrase(r"count_(?P<n>\d+)d", "count", "{value} transactions in {n} days", "{n} 天内 {value} 笔交易"),
    Phrase(r"in_(?P<n>\d+)h", "money", "{value} came in within {n} h", "{n} 小时内入账 {value}"),
    Phrase(r"in_(?P<n>\d+)d", "money", "{value} came in within {n} days", "{n} 天内入账 {value}"),
    Phrase(r"out_(?P<n>\d+)h", "money", "{value} went out within {n} h", "{n} 小时内支出 {value}"),
    Phrase(r"out_(?P<n>\d+)d", "money", "{value} went out within {n} days", "{n} 天内支出 {value}"),
    Phrase(r"max_(?P<n>\d+)d", "money", "largest amount in {n} days: {value}", "{n} 天内最大金额 {value}"),
    Phrase(r"in~(?P<n>[\d.]+)d", "money", "{value} came in of late (some {n} days)", "近期（约 {n} 天）入账 {value}"),
    Phrase(r"out~(?P<n>[\d.]+)d", "money", "{value} went out of late (some {n} days)", "近期（约 {n} 天）支出 {value}"),
    Phrase(
        r"count:(?P<name>.+)~(?P<n>[\d.]+)d",
        "count",
        "{name}: {value} times of late (some {n} days)",
        "{name}：近期（约 {n} 天）{value} 次",
    ),
    Phrase(
        r"amount:(?P<name>.+)~(?P<n>[\d.]+)d",
        "money",
        "{name}: {value} of late (some {n} days)",
        "{name}：近期（约 {n} 天）{value}",
    ),
    Phrase(r"silence_h", "hours", "nothing happened for {value}", "{value}没有任何交易"),
    Phrase(r"own_silence_h", "hours", "no own activity for {value}", "{value}没有主动交易"),
    Phrase(r"tenure_h", "hours", "first transaction {value} ago", "首笔交易距今 {value}"),
    Phrase(r"own_tenure_h", "hours", "first own transaction {value} ago", "首笔主动交易距今 {value}"),
    Phrase(r"registered_h", "hours", "known for {value}", "建档距今 {value}"),
    Phrase(r"count", "count", "{value} transactions in all", "累计 {value} 笔交易"),
    Phrase(r"own_count", "count", "{value} own transactions in all", "累计 {value} 笔主动交易"),
    Phrase(r"gap_mean_h", "hours", "{value} between transactions as a rule", "交易间隔通常为 {value}"),
    Phrase(r"gap_sd_h", "hours", "time between transactions varies by {value}", "交易间隔波动 {value}"),
    Phrase(r"amount_mean", "money", "usual amount {value}", "通常金额 {value}"),
    Phrase(r"amount_sd", "money", "amounts vary by {value}", "金额波动 {value}"),
    Phrase(r"late_h", "hours", "told {value} late", "迟到 {value}"),
    Phrase(r"balance_above", "money", "balance {value}", "余额 {value}"),
    Phrase(r"balance_below", "money", "balance {value} below zero", "透支 {value}"),
    Phrase(r"balance_known", "flag", "whether the balance is known", "是否已知余额"),
    Phrase(r"last1_h", "hours", "last event {value} ago", "最近一笔距今 {value}"),
    Phrase(r"last(?P<n>\d)_h", "hours", "event {n} from the end {value} ago", "倒数第 {n} 笔距今 {value}"),
    Phrase(r"last1_amount", "money", "last amount {value}", "最近一笔金额 {value}"),
    Phrase(r"last(?P<n>\d)_amount", "money", "amount {n} from the end {value}", "倒数第 {n} 笔金额 {value}"),
    Phrase(r"last1_sign", "flag", "direction of the last event", "最近一笔的收支方向"),
    Phrase(r"last(?P<n>\d)_sign", "flag", "direction of event {n} from the end", "倒数第 {n} 笔的收支方向"),
    Phrase(r"last1", "name", "last event: {value}", "最近一笔：{value}"),
    Phrase(r"last(?P<n>\d)", "name", "event {n} from the end: {value}", "倒数第 {n} 笔：{value}"),
    Phrase(r"since_h:(?P<name>.+)", "hours", "{name}: last {value} ago", "{name}：上次距今 {value}"),
    Phrase(r"gap_h:(?P<name>.+)", "hours", "{name}: {value} between the last two", "{name}：最近两次间隔 {value}"),
    Phrase(r"amount:(?P<name>.+)", "money", "{name}: last amount {value}", "{name}：上次金额 {value}"),
    Phrase(r"gap_z", "deviations", "pause {value} deviations from usual", "间隔偏离常态 {value} 个标准差"),
    Phrase(r"amount_z", "deviations", "amount {value} deviations from usual", "金额偏离常态 {value} 个标准差"),
    Phrase(r"silence_z", "deviations", "silence {value} deviations from usual", "沉默偏离常态 {value} 个标准差"),
    Phrase(r"day", "flag", "time of day", "一天中的时刻"),
    Phrase(r"week", "flag", "day of the week", "星期几"),
    Phrase(r"month", "flag", "day of the month", "一月中的日期"),
    Phrase(r"year", "flag", "time of the year", "一年中的时节"),
    Phrase(
        r"due_first_d~(?P<n>.+)",
        "days",
        "something recurs in {value} (every {n})",
        "{value}后有一笔周期交易（周期 {n}）",
    ),
    Phrase(
        r"due_d:(?P<name>.+)~(?P<n>.+)",
        "days",
        "{name} recurs in {value} (every {n})",
        "{name}：{value}后重现（周期 {n}）",
    ),
    Phrase(
        r"due_after_d:(?P<name>.+)~(?P<n>.+)",
        "days",
        "{name} recurs {value} after the first (every {n})",
        "{name}：在首笔之后 {value}重现（周期 {n}）",
    ),
    Phrase(r"due_first_d", "days", "something is due in {value}", "{value}后有一笔到期"),
    Phrase(r"due_d:(?P<name>.+)", "days", "{name} due in {value}", "{name}：{value}后到期"),
    Phrase(r"due_first", "name", "due first: {value}", "最先到期：{value}"),
)
"""The first that matches. An attribute, which has a name of its own, is told as ``name: value``."""
_OTHER: Final = Phrase("(?P<name>.+)", "plain", "{name}: {value}", "{name}：{value}")


class Phrases:
    """The words of one spec."""

    def __init__(self, spec: Spec) -> None:
        """Take the templates, language and currency of a spec."""
        self._spec, self._language = spec, spec.reasons.language

    def __call__(self, feature: str, value: float | str | None) -> str:
        """Return what a feature's value is in words."""
        phrase, found = _built_in(feature)
        fields = {key: self._name(text) if key == "name" else text for key, text in found.items()}
        fields.setdefault("name", self._name(feature))
        fields["value"] = self._told(value, phrase.unit)
        return (self._template(feature) or getattr(phrase, self._language)).format_map(fields)

    def _template(self, feature: str) -> str | None:
        """Return the spec's own template of a feature in the spec's language, if it has one."""
        for item in self._spec.reasons.templates:
            if fnmatch.fnmatchcase(feature, item.feature):
                text: str | None = getattr(item, self._language)
                return text
        return None

    def _told(self, value: float | str | None, unit: str) -> str:
        if value is None:
            return _UNKNOWN[self._language]
        if isinstance(value, str):
            return self._name(value)
        return _FIGURES.get(unit, _plain)(value, self._language, self._spec.currency)

    def _name(self, name: str) -> str:
        plain = name.replace("_", " ")
        return NAMES.get(name, plain) if self._language == "zh" else plain


@cache
def _built_in(feature: str) -> tuple[Phrase, dict[str, str]]:
    for phrase in BUILT_IN:
        match = re.fullmatch(phrase.pattern, feature)
        if match:
            return phrase, match.groupdict()
    return _OTHER, {}


def _plain(value: float, language: str, currency: str) -> str:
    del language, currency
    return f"{value:,.6g}"


def _count(value: float, language: str, currency: str) -> str:
    del language, currency
    return f"{value:,.1f}".removesuffix(".0")


def _money(value: float, language: str, currency: str) -> str:
    return f"{value:,.0f} {CURRENCIES.get(currency, currency) if language == 'zh' else currency}"


def _hours(value: float, language: str, currency: str) -> str:
    if value >= _TWO_DAYS:
        return _days(value / _DAY_H, language, currency)
    return f"{value:.0f} 小时" if language == "zh" else f"{value:.0f} h"


def _days(value: float, language: str, currency: str) -> str:
    del currency
    return f"{value:,.0f} 天" if language == "zh" else f"{value:,.0f} days"


def _deviations(value: float, language: str, currency: str) -> str:
    del language, currency
    return f"{value:+.1f}"


_FIGURES: Final[dict[str, Callable[[float, str, str], str]]] = {
    "count": _count,
    "money": _money,
    "hours": _hours,
    "days": _days,
    "deviations": _deviations,
}
"""How a number of each unit is told; others as it is."""
