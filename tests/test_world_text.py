"""Logs, notes and posts against their truth: planted spans, shares, labels, and how the texts read."""

from __future__ import annotations

import re
from collections import Counter

import numpy as np
import pandas as pd
import pytest
import statsmodels.api as sm
from sklearn.metrics import cohen_kappa_score
from world_once import drawn, table

from psma.world.text import answers as answers_of
from psma.world.truth import TRUTH
from psma.world.words import grammar
from psma.world.words.cast import Cast

# real forces and their handles, as shown in the programme's talk: none may be in an invented world
REAL = """metropolitan, @metpoliceuk, greater manchester, @gmpolice, west midlands, avon and somerset,
@aspolice, merseyside, surrey, devon & cornwall, devon and cornwall, @dc_police, sussex, south
wales, @swpolice, northants, essex, northumbria, west yorkshire, north yorkshire, west mercia,
lancashire, @lancspolice, derbyshire, @wmpolice, @merseysidepolice, @surreypolice,
@sussex_police, @northantspolice, @essexpoliceuk, @northumbriapol, @westyorkspolice,
@nyorkspolice, @wmericapolice, @derbyspolice"""


@pytest.fixture(scope="module")
def logs() -> pd.DataFrame:
    """The committed logs with what they are really about."""
    return table("incident_logs.csv").merge(drawn().hidden["text.logs"].drop(columns="category"), on="log")


@pytest.fixture(scope="module")
def planted() -> pd.DataFrame:
    """The committed spans."""
    return table("planted_names.csv")


@pytest.fixture(scope="module")
def notes() -> pd.DataFrame:
    """The committed notes with their signals."""
    return table("gp_notes.csv").merge(
        drawn().hidden["text.notes"].drop(columns=["age", "admitted_14d"]), on="note"
    )


@pytest.fixture(scope="module")
def posts() -> pd.DataFrame:
    """The committed posts with theme, sentiment and sarcasm."""
    return table("force_posts.csv").merge(drawn().hidden["text.posts"], on="post")


def off(share: float, expected: float, size: int) -> float:
    """How many standard errors a share lies from the expected one."""
    return abs(share - expected) / np.sqrt(expected * (1 - expected) / size)


def words(texts: pd.Series) -> Counter[str]:
    """How often each word stands in the texts, apostrophes kept, capitals not."""
    return Counter(word for text in texts for word in re.findall(r"[a-z]+(?:'[a-z]+)?", text.lower()))


def misplaced(texts: dict[str, str], planted: pd.DataFrame) -> int:
    """Spans whose text doesn't stand where the table says."""
    return sum(texts[row.log][row.start : row.end] != row.text for row in planted.itertuples())


def test_every_planted_span_stands_at_its_place(logs, planted):
    """Also when nothing else is off by one: a shifted table is refused. No two spans overlap."""
    texts = dict(zip(logs["log"], logs["text"], strict=True))
    assert misplaced(texts, planted) == 0
    assert misplaced(texts, planted.assign(start=planted["start"] + 1, end=planted["end"] + 1)) > 10_000
    ordered = planted.sort_values(["log", "start"], ignore_index=True)
    same = ordered["log"].eq(ordered["log"].shift())
    assert (ordered["start"] >= ordered["end"].shift())[same].all()
    assert (planted["kind"] == "name").sum() > 5_000
    forms = planted.loc[planted["kind"] == "name", "form"].value_counts()
    assert forms[["full", "lower case", "nickname", "double-barrelled", "misspelt", "title"]].min() > 100


def numbers_left(logs: pd.DataFrame, planted: pd.DataFrame) -> list[str]:
    """Telephone numbers and plates that stand in the logs outside every planted span."""
    spans = planted.groupby("log")[["start", "end"]].apply(lambda rows: rows.to_numpy().tolist()).to_dict()
    found = []
    for log, text in zip(logs["log"], logs["text"], strict=True):
        for start, end in sorted(spans.get(log, []), reverse=True):
            text = text[:start] + "_" + text[end:]
        found += re.findall(r"(?:\+44|\b0)\d[\d \-()]{7,}\d|(?i:\b[a-z]{2}\d\d ?[a-z]{3}\b)", text)
    return found


def test_no_number_or_plate_stands_outside_the_planted_spans(logs, planted):
    """And with one in ten spans forgotten, many do."""
    assert numbers_left(logs, planted) == []
    assert len(numbers_left(logs, planted.iloc[::10])) > 1_000


def test_numbers_and_plates_can_belong_to_nobody(planted):
    """Drama ranges only; a plate has I, Q or Z among its first two letters."""
    phones = planted.loc[planted["kind"] == "phone", "text"].str.replace(r"\D", "", regex=True)
    assert phones.str.fullmatch(r"(0|44)7700900\d{3}|01632960\d{3}").all()
    plates = planted.loc[planted["kind"] == "plate", "text"].str.upper()
    assert plates.str.fullmatch(r"[A-Z]{2}\d\d ?[A-Z]{3}").all()
    assert plates.str[:2].str.contains("[IQZ]").all()


def test_nobody_real_is_named_and_nothing_leads_out(logs, notes, posts):
    """No force or handle of the real list, no e-mail address, no link."""
    accounts = table("force_accounts.csv")
    everything = "\n".join([*logs["text"], *notes["text"], *posts["text"]]).lower()
    names = "\n".join([*accounts["account"], *accounts["handle"]]).lower()
    forces = {" ".join(name.split()) for name in REAL.split(",")}
    for name in forces - {"metropolitan"}:
        assert f"{name} police" not in everything and name not in names
    assert not {handle.lower() for handle in accounts["handle"]} & forces
    assert not re.search(r"https?:|www\.|\w@\w", everything)
    handles = set(re.findall(r"@\w+", "\n".join(posts["text"])))
    assert handles == set(accounts["handle"])
    assert all(handle in text for handle, text in zip(posts["handle"], posts["text"], strict=True))


def test_accounts_have_the_shape_of_real_ones():
    """Seventeen, one giant, followers and mentions rise together, engagement of hundredths of a percent."""
    accounts = table("force_accounts.csv")
    assert len(accounts) == 17
    assert accounts["followers"].max() > 1_000_000 > accounts["followers"].nlargest(2).iloc[1]
    assert accounts["followers"].corr(accounts["mentions_per_day"], method="spearman") > 0.4
    assert accounts["engagement_percent"].between(0.03, 0.13).all()


def test_logs_belong_to_their_incidents(logs):
    """Time, area and type agree with the response log; half-hearted shuffling would be noticed."""
    incidents = table("response_log.csv").drop_duplicates("incident").set_index("incident")
    rows = logs.dropna(subset="incident")
    own = incidents.loc[rows["incident"]]
    assert rows["incident"].is_unique and len(rows) == TRUTH.text.logs.in_response
    for column, other in (("time", "received"), ("area", "area"), ("category", "type")):
        assert (rows[column].to_numpy() == own[other].to_numpy()).all()
    assert (rows["category"].to_numpy() != np.roll(own["type"].to_numpy(), 1)).mean() > 0.5


def test_one_category_in_seventeen_is_wrong(logs):
    """Each confusion has its stated share; the review says what was really the matter."""
    reviewed = logs.dropna(subset="reviewed_category")
    assert len(reviewed) == TRUTH.text.logs.reviewed
    assert (reviewed["reviewed_category"] == reviewed["really"]).all()
    assert 0.045 < (logs["category"] != logs["really"]).mean() < 0.075
    for coded, real, chance in TRUTH.text.logs.miscoded:
        rows = logs[logs["category"] == coded]
        share = (rows["really"] == real).mean()
        assert off(share, chance, len(rows)) < 3.5, (coded, real)
    assert 0.06 < (logs["really"] == "mental health").mean() < 0.10


def test_the_keyword_list_finds_what_its_author_thought_of(logs):
    """Recall and false alarms are those of the truth; without a single keyword there are hundreds of logs."""
    truth = TRUTH.text.logs
    hit = logs["text"].str.lower().map(lambda text: any(word in text for word in truth.keywords))
    real = logs["really"] == "mental health"
    assert off(hit[real].mean(), 1 - truth.plain, real.sum()) < 3.5
    assert off(hit[~real].mean(), truth.markers, (~real).sum()) < 3.5
    assert (~hit[real]).sum() > 120


def test_admission_is_logistic_with_the_stated_coefficients(notes):
    """All within 3.5 standard errors; what is denied or told of a relative has no effect."""
    truth = TRUTH.text.notes
    names = [name for name, _, _ in truth.signals]
    x = pd.DataFrame({name: notes[name] == "-" for name in names})
    x["age"] = (notes["age"] - 80) / 10
    x["other"] = (notes[names].isin(["+", "*"])).sum(axis=1)
    fit = sm.Logit(notes["admitted_14d"], sm.add_constant(x.astype(float))).fit(disp=False)
    expected = {name: effect for name, _, effect in truth.signals} | {"age": truth.age_slope, "other": 0.0}
    distance = {name: abs(fit.params[name] - value) / fit.bse[name] for name, value in expected.items()}
    assert max(distance.values()) < 3.5, distance
    assert sum(abs(fit.params[name] + expected[name]) / fit.bse[name] > 3.5 for name in names) >= 8
    assert 0.08 < notes["admitted_14d"].mean() < 0.20
    for name, share, _ in truth.signals:
        assert off((notes[name] == "-").mean(), share, len(notes)) < 3.5


def test_a_signal_stands_in_the_text(notes):
    """Every note that holds, denies or trips over a signal is longer for it; a present one can be read."""
    bank = {s.name: s for s in grammar.load("notes.txt") if s.facts[0] == "signal"}
    assert set(bank) == {name for name, _, _ in TRUTH.text.notes.signals}
    short = notes["text"].str.contains(r"\b(?:sob|breathless|puff|gasp|pnd|breath|wheeze|lip)", case=False)
    assert short[notes["breathless"] == "-"].mean() > 0.55 > short[notes["breathless"] == ""].mean() + 0.1


def test_themes_and_sentiments_have_the_stated_shares(posts):
    """Outside the viral evening every theme, and the sentiment in it, lies within 3.5 standard errors."""
    truth = TRUTH.text.posts
    usual = posts[~posts["viral"]]
    for theme, share, sides in truth.themes:
        rows = usual[usual["theme"] == theme]
        assert off(len(rows) / len(usual), share, len(usual)) < 3.5, theme
        for side, part in zip(("negative", "neutral", "positive"), sides, strict=True):
            seen = (rows["sentiment"] == side).mean()
            assert seen == part if part == 0 else off(seen, part, len(rows)) < 3.5, (theme, side)
    assert 0.05 < posts["sarcasm"].mean() < 0.12
    assert (posts.loc[posts["sarcasm"], "sentiment"] == "negative").all()


def test_one_evening_moves_the_year(posts):
    """The viral posts fall on one evening, come from elsewhere, and pull the county's own mean down."""
    truth = TRUTH.text.posts
    viral = posts[posts["viral"]]
    assert len(viral) == truth.viral_posts
    assert viral["time"].between(f"{truth.viral_evening} 18:00", f"{truth.viral_evening} 23:59:59").all()
    score = posts["sentiment"].map({"negative": -1, "neutral": 0, "positive": 1})
    home = posts["handle"] == truth.home
    assert score[home].mean() < score[home & ~posts["viral"]].mean() - 0.3
    local = posts["profile_place"].eq("in the county").groupby(posts["viral"]).mean()
    assert local[True] < 0.15 < 0.38 < local[False]
    each = posts.loc[~posts["viral"], "author"].value_counts()
    assert each.head(len(each) // 10).sum() > 0.3 * each.sum()


def test_two_people_agree_less_than_one_thinks(posts):
    """Cohen's kappa near its expected value; sarcasm splits them; a copy of the first would agree fully."""
    truth = TRUTH.text.posts
    rows = posts.dropna(subset="label_a")
    assert len(rows) == truth.labelled and rows[["label_b", "label_theme"]].notna().all(axis=None)
    assert abs(cohen_kappa_score(rows["label_a"], rows["label_b"]) - truth.kappa) < 0.06
    for column, right in zip(("label_a", "label_b"), truth.label_right, strict=True):
        plain = rows[~rows["sarcasm"]]
        assert off((plain[column] == plain["sentiment"]).mean(), right, len(plain)) < 3.5
        twisted = rows[rows["sarcasm"]]
        assert (twisted[column] == twisted["sentiment"]).mean() < 0.75
    assert (rows["label_theme"] == rows["theme"]).mean() > 0.9


@pytest.mark.parametrize(("file", "least"), [("logs.txt", 90), ("notes.txt", 40), ("posts.txt", 60)])
def test_there_are_many_situations(file, least):
    """As many as promised, each with an opening that can be expanded."""
    found = grammar.load(file)
    assert len({s.name for s in found}) == len(found) >= least
    assert all(s.lines["-"] for s in found)


def test_no_situation_and_no_text_is_everywhere(logs, notes, posts):
    """No situation makes up more than 4%; fewer than 2% of texts are word for word like another."""
    for frame, column in ((logs, "situation"), (posts, "situation")):
        share = frame[column].value_counts(normalize=True)
        assert share.iloc[0] < 0.04 and len(share) >= 60
    assert notes["visit"].value_counts(normalize=True).iloc[0] < 0.06
    for frame in (logs, notes, posts):
        assert frame["text"].duplicated().mean() < 0.02
        assert frame["text"].str.len().min() > 10


def test_half_of_the_words_are_a_hundred_and_half_of_them_stand_there_once(logs):
    """A log's words as in any language: a few carry the text, the tail is long."""
    counts = words(logs["text"])
    top = sum(n for _, n in counts.most_common(100)) / counts.total()
    once = sum(n == 1 for n in counts.values()) / len(counts)
    assert 0.45 < top < 0.58
    assert 0.44 < once < 0.58
    clean = words(pd.Series(logs["text"].iloc[0], index=range(6_000)))
    assert sum(n == 1 for n in clean.values()) == 0


def test_no_template_is_left_open(logs, notes, posts):
    """Nothing of the grammar shows: no bracket of a choice, no slot, no double space, no loose comma."""
    for frame in (logs, notes, posts):
        bad = frame["text"].str.contains(r"[{}<>|]|  |,,| ,|,\.|\A[ ,.]|\s\Z", regex=True)
        assert not bad.any(), frame.loc[bad, "text"].iloc[0]


def test_a_trainer_gets_the_answers(monkeypatch, posts):
    """One frame for logs, notes and posts, with a row for every row of the file."""
    monkeypatch.setattr("psma.world.draw", lambda seed, families: drawn())
    answers = answers_of()
    assert {name: len(frame) for name, frame in answers.items()} == {
        "logs": 6_000,
        "notes": 2_500,
        "posts": 8_000,
    }
    assert (answers["posts"]["theme"].to_numpy() == posts["theme"].to_numpy()).all()


def test_a_broken_template_is_refused():
    """An unclosed bracket and an unknown slot are errors, not text."""
    rng = np.random.default_rng(1)
    with pytest.raises(ValueError, match="never closed"):
        grammar.expand("{a|b", rng, lambda slot: [])
    with pytest.raises(StopIteration):
        Cast(rng).fill("nosuchslot")
