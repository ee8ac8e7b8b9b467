"""Who and what is in a text: people with names, phone numbers, plates, dates of birth and addresses.

Nothing here can belong to anybody. Names are combinations of common first names and surnames. Phone numbers
come from the ranges that the regulator keeps for drama (01632 960000 to 960999, 07700 900000 to 900999).
Plates have I, Q or Z among their first two letters, which no plate of this pattern ever has.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from psma.world.words.grammar import Piece, words_of

NAME_FORMS = (
    ("full", 0.34), ("first", 0.13), ("title", 0.12), ("lower case", 0.11), ("surname first", 0.09),
    ("double-barrelled", 0.05), ("initial", 0.06), ("misspelt", 0.05), ("upper case", 0.05),
)  # fmt: skip
DAYS = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")
MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")
LETTERS = "ABCDEFGHJKLMNPRSTUVWXYZ"
PRONOUNS = {
    "he": "he/she", "him": "him/her", "his": "his/her", "man": "man/woman", "sex": "male/female",
    "He": "He/She", "Man": "Male/Female",
}  # fmt: skip
KIN = (
    "dad/mum",
    "son/daughter",
    "brother/sister",
    "husband/wife",
    "mate/friend",
    "uncle/auntie",
    "lodger/lodger",
)
SLANG = {"Robert": "Robbo", "David": "Dave", "Michael": "Mick", "Margaret": "Mags", "Stephen": "Ste"}


def pick(rng: np.random.Generator, options: tuple[str, ...] | list[str] | str) -> str:
    """One of the options, each as likely."""
    return str(options[int(rng.integers(len(options)))])


def misspell(word: str, rng: np.random.Generator) -> str:
    """A word of four letters or more with one typing error: swap, drop, double or a wrong vowel."""
    if len(word) < 4:
        return word
    at, how = int(rng.integers(1, len(word) - 1)), int(rng.integers(4))
    if how == 0:
        return word[:at] + word[at + 1] + word[at] + word[at + 2 :]
    if how == 1:
        return word[:at] + word[at + 1 :]
    if how == 2:
        return word[:at] + word[at] + word[at:]
    return word[:at] + pick(rng, "aeiou") + word[at + 1 :]


@dataclass
class Person:
    """Somebody in a text, and whether the text has already named them."""

    male: bool
    first: str
    surname: str
    named: bool = False


@dataclass
class Cast:
    """The people and things of one text; `fill` answers the grammar's slots."""

    rng: np.random.Generator
    place: str = ""
    hospital: str = "Tamarmouth General"
    place_of_safety: str = "place of safety"
    hour: int = 12
    extra: dict[str, str] = field(default_factory=dict)
    people: dict[str, Person] = field(default_factory=dict)
    anonymous: bool = False
    young: bool = False

    def person(self, who: str) -> Person:
        """The caller (`1`), the subject (`s`) or another (`o`), made up at the first mention."""
        if who not in self.people:
            male = bool(self.rng.random() < 0.5)
            # the list begins with the common surnames, the rest is rare, as in a real town
            names = words_of("surname")
            lot = int(len(names) * self.rng.random() ** 1.6)
            first = pick(self.rng, words_of("male" if male else "female"))
            self.people[who] = Person(male, first, names[lot])
        return self.people[who]

    def by_sex(self, pair: str, who: str) -> str:
        """The first word of `his/her` where that person is male, else the second."""
        return pair.split("/")[not self.person(who).male]

    def name(self, who: str, known: bool = False) -> list[Piece]:
        """The person's name in one of the forms of `NAME_FORMS`; shorter at a second mention.

        Four callers in ten are only called the caller, but where the name has to be `known`.
        """
        person, rng = self.person(who), self.rng
        if who == "1" and not person.named and not known and (self.anonymous or rng.random() < 0.4):
            self.anonymous = True
            return [Piece("caller")]
        if person.named:
            short = person.first if rng.random() < 0.6 else person.surname
            return [Piece(short, "name", "first" if short == person.first else "surname")]
        person.named = True
        first, last = person.first, person.surname
        form = str(rng.choice([f for f, _ in NAME_FORMS], p=[p for _, p in NAME_FORMS]))
        form = "first" if form == "title" and self.young and who == "s" else form
        text = {
            "full": f"{first} {last}",
            "first": SLANG.get(first, first),
            "title": f"{'Mr' if person.male else pick(rng, ('Mrs', 'Ms', 'Miss'))} {last}",
            "lower case": f"{first} {last}".lower(),
            "surname first": f"{last.upper()}, {first}",
            "double-barrelled": f"{first} {last}-{pick(rng, words_of('surname'))}",
            "initial": f"{first[0]} {last}",
            "misspelt": f"{misspell(first, rng)} {misspell(last, rng)}",
            "upper case": f"{first} {last}".upper(),
        }[form]
        return [Piece(text, "name", form)]

    def phone(self) -> list[Piece]:
        """A number from the two ranges kept for drama, in one of several spellings."""
        n = int(self.rng.integers(1000))
        if self.rng.random() < 0.7:
            styles = ("07700900%03d", "07700 900%03d", "07700 900 %03d", "+447700900%03d")
        else:
            styles = ("01632 960%03d", "01632960%03d", "01632-960%03d", "(01632) 960%03d")
        style = int(self.rng.choice(4, p=(0.45, 0.3, 0.15, 0.1)))
        return [Piece(styles[style] % n, "phone", ("plain", "space", "spaces", "other")[style])]

    def plate(self) -> list[Piece]:
        """A number plate that can't exist, with or without its space, sometimes in lower case."""
        rng = self.rng
        start = pick(rng, LETTERS) + pick(rng, "IQZ")
        if rng.random() < 0.3:
            start = start[::-1]
        year = int(rng.integers(2, 26)) + 50 * int(rng.integers(2))
        end = "".join(pick(rng, LETTERS) for _ in range(3))
        form = str(rng.choice(["space", "no space", "lower case"], p=(0.5, 0.36, 0.14)))
        text = f"{start}{year:02d}{' ' if form == 'space' else ''}{end}"
        return [Piece(text.lower() if form == "lower case" else text, "plate", form)]

    def birth(self, years: tuple[int, int] = (1935, 2008)) -> list[Piece]:
        """A date of birth from those years, in one of five spellings."""
        rng = self.rng
        day, month, year = int(rng.integers(1, 29)), int(rng.integers(1, 13)), int(rng.integers(*years))
        styles = {
            "slashes": f"{day:02d}/{month:02d}/{year}",
            "short": f"{day}/{month}/{year % 100:02d}",
            "dots": f"{day:02d}.{month:02d}.{year % 100:02d}",
            "words": f"{day} {MONTHS[month - 1]} {year}",
            "digits": f"{day:02d}{month:02d}{year}",
        }
        form = str(rng.choice(list(styles), p=(0.45, 0.2, 0.15, 0.12, 0.08)))
        return [Piece(styles[form], "date of birth", form)]

    def street(self) -> str:
        """The name of a street that no directory lists, now and then in the clerk's short spelling."""
        first, second = pick(self.rng, words_of("street1")), pick(self.rng, words_of("street2"))
        if self.rng.random() < 0.35:
            short = {"Road": "Rd", "Street": "St", "Avenue": "Ave", "Lane": "Ln", "Close": "Cl"}
            short |= {"Drive": "Dr", "Crescent": "Cres", "Court": "Ct", "Gardens": "Gdns", "Terrace": "Terr"}
            second = short.get(second, second)
        return f"{first} {second}"

    def address(self, numbered: bool) -> list[Piece]:
        """A street, with a house number or a flat's if `numbered`; one in ten in lower case."""
        rng, text = self.rng, self.street()
        form = "street only"
        if numbered:
            house = str(int(1 + 90 * rng.random() ** 2)) + (
                "abc"[int(rng.integers(3))] * (rng.random() < 0.08)
            )
            form = "flat" if rng.random() < 0.22 else "house"
            text = f"{house} {text}"
            if form == "flat":
                text = f"Flat {int(rng.integers(1, 30))}, {text}"
        if rng.random() < 0.1:
            text, form = text.lower(), "lower case"
        return [Piece(text, "address", form)]

    def number(self, slot: str) -> str | None:
        """A number for a slot, or None where the slot isn't one."""
        rng = self.rng
        limits = {
            "n": (2, 10), "n0": (10, 40), "ten": (3, 10), "pct": (4, 97), "min": (11, 95), "age": (19, 71),
            "old": (72, 96), "Old": (72, 96), "teen": (13, 18), "kid": (2, 10), "speed": (44, 118),
            "no": (1, 99),
        }  # fmt: skip
        if slot in limits:
            return str(int(rng.integers(*limits[slot])))
        if slot == "money":
            return str(int(np.exp(rng.normal(5.2, 1.3)) + 5))
        if slot == "t":
            minute = int(rng.integers(0, 60)) if rng.random() < 0.5 else 15 * int(rng.integers(4))
            return f"{(self.hour - int(rng.integers(1, 6))) % 24:02d}{pick(rng, (':', '', '.'))}{minute:02d}"
        return None

    def fill(self, slot: str) -> list[Piece]:
        """What stands in a slot; ValueError for one that nobody knows."""
        rng = self.rng
        if slot in self.extra:
            return [Piece(self.extra[slot])]
        if slot == "c":
            return self.name("1", known=True)
        if slot in ("s", "o", "1"):
            return self.name(slot)
        if slot == "s1":
            return [Piece(self.person("s").first, "name", "first")]
        if slot in ("1p", "1m"):
            return [Piece(self.by_sex("his/her" if slot == "1p" else "him/her", "1"))]
        if slot in ("kin", "Kin"):
            kin = self.by_sex(KIN[int(rng.integers(len(KIN)))], "s")
            return [Piece(kin.capitalize() if slot == "Kin" else kin)]
        if slot in PRONOUNS or "/" in slot:
            return [Piece(self.by_sex(PRONOUNS.get(slot, slot), "s"))]
        special = {
            "phone": self.phone, "vrm": self.plate, "dob": self.birth,
            "tdob": lambda: self.birth((2008, 2013)),
            "addr": lambda: self.address(True), "street": lambda: self.address(False),
            "nick": lambda: [Piece(pick(rng, words_of("nick")), "name", "nickname")],
        }  # fmt: skip
        if slot in special:
            return special[slot]()
        fixed = {"town": self.place, "hosp": self.hospital, "pos": self.place_of_safety}
        plain = fixed.get(slot) or self.number(slot)
        if plain is None and slot in ("day", "month"):
            plain = pick(rng, DAYS if slot == "day" else MONTHS)
        if plain is None:
            plain = pick(rng, words_of(slot.lower()))
            plain = plain.capitalize() if slot == "Rel" else plain
        return [Piece(plain)]
