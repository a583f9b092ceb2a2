"""Words that tell what a type or a column is, in the languages that bank exports come in: guesses, never more.

A word of a Latin script is compared whole and without accents; a stem also inside a compound ("Sollzinsen"); Chinese,
Japanese and Korean words wherever they stand.
"""

import re
import unicodedata
from collections.abc import Mapping
from typing import Final

_BANK_WORDS: Final[Mapping[str, str]] = {
    "interest": "interest interests zins zinsen interet interets agio agios interes intereses interessi juros odsetki "
    "urok uroky faiz",
    "fee": "fee fees charge charges surcharge commission commissions gebuehr entgelt entgelte spesen frais comision "
    "comisiones commissione commissioni bollo tarifa tarifas oplata prowizja poplatek poplatky avgift gebyr",
    "penalty": "penalty penalties sanction sanctions mahnung penalite penalites multa boete recargo sankcni",
    "tax": "withholding",
    "correction": "reversal reversals correction adjustment storno rueckbuchung",
    "reward": "cashback",
}
_BANK_STEMS: Final[Mapping[str, str]] = {
    "interest": "zinsen zinsgut",
    "fee": "gebuehr entgelt kontofuehrung",
    "penalty": "mahnkosten",
    "tax": "ertragsteuer quellensteuer",
}
_BANK_SIGNS: Final[Mapping[str, str]] = {
    "interest": "利息 结息 結息 이자",
    "fee": "手续费 手續費 手数料 年费 管理费 服务费 短信费 工本费 수수료",
    "penalty": "罚息 滞纳金 违约金 延滞金 연체료",
    "tax": "利息税",
}
_NOT_THE_BANKS: Final = frozenset(
    ["school", "tuition", "membership", "club", "course", "parking", "mietzins", "produits", "物业", "学"]
)
"""With these a fee is one that the customer pays to somebody else."""

_PROTECTED: Final[Mapping[str, str]] = {
    "gender": "gender sex geschlecht sexe sexo genero sesso geslacht",
    "age": "age birth birthday birthdate birthyear dob alter geburt naissance edad nacimiento eta leeftijd",
    "origin": "race ethnic ethnicity nationality citizenship origin",
    "belief": "religion religious",
    "family": "marital married pregnant",
    "health": "disability disabled",
}

ENGLISH: Final[Mapping[str, str]] = {
    "利息": "interest", "结息": "interest", "罚息": "penalty_interest", "手续费": "fee", "年费": "annual_fee",
    "管理费": "management_fee", "服务费": "service_fee", "短信费": "message_fee", "滞纳金": "late_fee",
    "利息税": "interest_tax",
    "工资": "salary", "转账": "transfer", "转入": "transfer_in", "转出": "transfer_out", "汇款": "remittance",
    "存款": "deposit", "取款": "withdrawal", "取现": "cash", "现金": "cash", "消费": "purchase", "购物": "shopping",
    "餐饮": "dining", "交通": "transport", "旅游": "travel", "娱乐": "leisure", "医疗": "health", "教育": "education",
    "住房": "housing", "房租": "rent", "水电": "utilities", "通讯": "telecom", "还款": "repayment", "贷款": "loan",
    "投资": "investment", "理财": "investment", "基金": "fund", "保险": "insurance", "退款": "refund", "退货": "return",
    "其他": "other", "其它": "other",
}  # fmt: skip
"""Common Chinese types → the name that they get, since names of a spec are of Latin letters."""

_FOLDED: Final = str.maketrans({"ä": "ae", "ö": "oe", "ü": "ue", "Ä": "Ae", "Ö": "Oe", "Ü": "Ue", "ß": "ss", "ł": "l"})


def folded(text: str) -> str:
    """Return a text without accents: "Gebühr" is "Gebuehr", "intérêts" is "interets"."""
    plain = unicodedata.normalize("NFKD", unicodedata.normalize("NFC", text).translate(_FOLDED))
    return unicodedata.normalize("NFC", "".join(char for char in plain if not unicodedata.combining(char)))


def bank_word(called: str) -> str:
    """Return what of the bank's a type seems to be, such as "interest" or "fee"; "" where it seems to be none."""
    found = _words(called)
    if any(word in found or (not word.isascii() and word in called) for word in _NOT_THE_BANKS):
        return ""
    for meaning, words in _BANK_WORDS.items():
        if found & set(words.split()):
            return meaning
    for meaning, stems in _BANK_STEMS.items():
        if any(stem in word for stem in stems.split() for word in found):
            return meaning
    return next((name for name, signs in _BANK_SIGNS.items() if any(sign in called for sign in signs.split())), "")


def protected_word(name: str) -> str:
    """Return what an attribute's name tells that a decision must not rest on, such as "gender"; "" for nothing."""
    found = _words(name)
    return next((meaning for meaning, words in _PROTECTED.items() if found & set(words.split())), "")


def _words(text: str) -> set[str]:
    apart = re.sub(r"(?<=[a-z])(?=[A-Z])", " ", folded(text))
    return {word.lower() for word in re.split(r"[^A-Za-z]+", apart) if word}
