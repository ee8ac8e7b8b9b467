"""The text family: control-room logs, GP notes, and posts that mention a police force.

Texts come from a grammar of situations (`words/*.txt`), are roughened in the writer's style and carry planted
names, numbers, plates, dates of birth and addresses. What each is really about stays in `world.hidden`
(`answers` gives it to a trainer). True parameters: `truth.TextTruth`.
"""

from __future__ import annotations

import numpy as np
import pandas as pd

from psma.world.frame import SEED, World
from psma.world.truth import TRUTH, LogsTruth, NotesTruth, PostsTruth
from psma.world.words import logs, notes, posts
from psma.world.words.cast import Cast
from psma.world.words.grammar import Situation
from psma.world.words.style import POST_STYLES, pick_style

FAMILY = "text"
NEEDS: tuple[str, ...] = ("geography", "demand", "response")
TABLES = ("incident_logs.csv", "planted_names.csv", "gp_notes.csv", "force_accounts.csv", "force_posts.csv")
HOSPITALS = ("Tamarmouth General", "Wrenford Royal", "Brackenford Hosp", "TGH", "the Royal")
SIDES = ("negative", "neutral", "positive")
TOWN_ENDS = ("ford", "haven", "stead", "by", "wick", "bridge")


def draw_scenes(world: World, truth: LogsTruth, rng: np.random.Generator) -> pd.DataFrame:
    """Which calls have a log: incidents of the response log, and calls to which nobody was sent, in order."""
    jobs = world.hidden["response.jobs"]
    sent = jobs.iloc[np.sort(rng.choice(len(jobs), truth.in_response, replace=False))]
    sent = sent.rename(columns={"received": "time", "type": "category"})
    # a call to which nobody goes is like the least urgent incidents, at the same hour of a day nearby
    quiet = np.flatnonzero(jobs["grade"] == 3)
    alike = jobs.iloc[rng.choice(quiet, truth.logs - truth.in_response)]
    moved = alike["received"] + pd.to_timedelta(rng.integers(-3, 4, len(alike)), unit="D")
    moved += pd.to_timedelta(rng.integers(-900, 900, len(alike)), unit="s")
    first = pd.Timestamp(TRUTH.response.first_day)
    moved = moved.clip(first, first + pd.Timedelta(days=TRUTH.response.days) - pd.Timedelta(seconds=1))
    desk = pd.DataFrame(
        {"time": moved, "category": alike["type"], "area": alike["area"], "district": alike["district"]}
    )
    both = pd.concat([sent, desk]).sort_values(["time", "area"], kind="stable").reset_index(drop=True)
    return both[["incident", "time", "area", "district", "category", "dispatched", "arrived", "cleared"]]


def really(category: pd.Series, truth: LogsTruth, rng: np.random.Generator) -> np.ndarray:
    """What each log is really about."""
    lot, out = rng.random(len(category)), category.to_numpy(dtype=object).copy()
    for name in category.unique():
        rows, edge = (category == name).to_numpy(), 0.0
        for coded, real, chance in truth.miscoded:
            if coded == name:
                out[rows & (lot >= edge) & (lot < edge + chance)] = real
                edge += chance
    return out


def has_keyword(text: str, truth: LogsTruth) -> bool:
    """Whether one of the keywords stands in the text."""
    return any(word in text.lower() for word in truth.keywords)


def minutes_of(row: pd.Series) -> logs.Times:
    """The car's times in minutes after the call."""
    if pd.isna(row["incident"]):
        return logs.Times(row["time"], None)
    stamps = (row["dispatched"], row["arrived"], row["cleared"])
    first, second, third = ((stamp - row["time"]).total_seconds() / 60 for stamp in stamps)
    return logs.Times(row["time"], (first, second, third))


def distressed(situation: Situation, truth: LogsTruth, rng: np.random.Generator) -> list[str]:
    """A sign of distress, which need not mean a crisis, for the share of logs that have one."""
    fits = situation.facts[0] == "mental health" or situation.name in logs.LOOKALIKES
    return logs.some(logs.part("distress"), int(fits and rng.random() < truth.distress), rng)


def write_log(
    row: pd.Series, truth: LogsTruth, rng: np.random.Generator
) -> tuple[str, list[tuple[str, str, int, int]], str]:
    """Text, planted spans and situation of one log, with or without a keyword as the truth wants it."""
    times, about_crisis = minutes_of(row), row["really"] == "mental health"
    wanted = rng.random() >= truth.plain if about_crisis else rng.random() < truth.markers
    while True:
        hour, sent = row["time"].hour, times.sent is not None
        situation = logs.choose(row["really"], hour, sent, rng)
        if about_crisis and rng.random() < truth.disguised:
            situation = logs.disguise(situation, rng)
        cast = Cast(rng, row["district"], str(rng.choice(HOSPITALS)), hour=hour)
        cast.young = "young" in situation.facts
        extra = logs.some(logs.part("markers"), int(wanted and not about_crisis), rng)
        extra += distressed(situation, truth, rng)
        text, spans = logs.write(situation, cast, times, rng, extra)
        if has_keyword(text, truth) == wanted:
            return text, spans, situation.name


def draw_logs(world: World, truth: LogsTruth, rng: np.random.Generator) -> tuple[pd.DataFrame, pd.DataFrame]:
    """The logs and the planted spans; hidden `text.logs` says what each log is really about."""
    scenes = draw_scenes(world, truth, rng)
    scenes["really"] = really(scenes["category"], truth, rng)
    scenes.insert(0, "log", [f"L{n:05d}" for n in range(1, len(scenes) + 1)])
    written = [write_log(row, truth, rng) for _, row in scenes.iterrows()]
    scenes["text"] = [text for text, _, _ in written]
    scenes["situation"] = [situation for _, _, situation in written]
    planted = [
        (log, kind, form, text[start:end], start, end)
        for log, (text, spans, _) in zip(scenes["log"], written, strict=True)
        for kind, form, start, end in spans
    ]
    reviewed = np.zeros(len(scenes), dtype=bool)
    reviewed[rng.choice(len(scenes), truth.reviewed, replace=False)] = True
    scenes["reviewed_category"] = scenes["really"].where(reviewed)
    world.hidden["text.logs"] = scenes[["log", "category", "really", "situation"]]
    columns = ["log", "incident", "time", "area", "category", "reviewed_category", "text"]
    return scenes[columns], pd.DataFrame(planted, columns=["log", "kind", "form", "text", "start", "end"])


def draw_signals(truth: NotesTruth, rng: np.random.Generator) -> pd.DataFrame:
    """For every note and signal the mark of `notes`: present, denied, trap, or empty if not mentioned."""
    columns = {}
    for name, share, _ in truth.signals:
        lot = rng.random(truth.notes)
        edges = np.cumsum([share, truth.denied, truth.trap])
        columns[name] = np.select(
            [lot < edge for edge in edges], [notes.PRESENT, notes.DENIED, notes.TRAP], ""
        )
    return pd.DataFrame(columns)


def draw_notes(world: World, truth: NotesTruth, rng: np.random.Generator) -> pd.DataFrame:
    """The notes; hidden `text.notes` says which signals each really holds and why the patient was seen."""
    sites = world.tables["sites.csv"]
    practices = sites.loc[sites["kind"] == "GP practice", "site"].to_numpy()
    patient = rng.integers(0, truth.patients, truth.notes)
    day = pd.Timestamp(truth.first_day) + pd.to_timedelta(
        np.sort(rng.integers(0, truth.days, truth.notes)), unit="D"
    )
    # surgeries are shut at the weekend, so those notes were written on the Friday before
    day = day - pd.to_timedelta(np.maximum(day.dayofweek - 4, 0), unit="D")
    age = np.clip(rng.normal(79, 8.5, truth.patients), 50, 102).astype(int)[patient]
    male = rng.random(truth.patients) < 0.46
    own = rng.choice(practices, truth.patients)[patient]
    marks = draw_signals(truth, rng)
    effects = np.array([effect for _, _, effect in truth.signals])
    logit = (
        truth.intercept + (marks == notes.PRESENT).to_numpy() @ effects + truth.age_slope * (age - 80) / 10
    )
    reasons = [notes.choose(rng) for _ in range(truth.notes)]
    texts = []
    for n, visit in enumerate(reasons):
        cast = Cast(rng, "Tamarmouth", str(rng.choice(HOSPITALS)))
        cast.person("s").male = bool(male[patient[n]])
        texts.append(notes.write(visit, {str(k): v for k, v in marks.iloc[n].items() if v}, cast, rng))
    admitted = (rng.random(truth.notes) < 1 / (1 + np.exp(-logit))).astype(int)
    numbers = [f"N{n:05d}" for n in range(1, truth.notes + 1)]
    world.hidden["text.notes"] = marks.assign(
        note=numbers, visit=[v.name for v in reasons], age=age, admitted_14d=admitted
    )
    return pd.DataFrame(
        {
            "note": numbers,
            "patient": [f"GP-{n + 1:05d}" for n in patient],
            "practice": own,
            "date": day,
            "age": age,
            "text": texts,
            "admitted_14d": admitted,
        }
    )


def draw_accounts(truth: PostsTruth) -> pd.DataFrame:
    """The accounts as the truth has them."""
    columns = ["account", "handle", "posts", "followers", "mentions_per_day", "engagement_percent"]
    return pd.DataFrame(truth.accounts, columns=columns)


def draw_matters(truth: PostsTruth, rng: np.random.Generator) -> list[Situation]:
    """The situation of every post, the viral ones last."""
    usual = truth.posts - truth.viral_posts
    shares = np.array([share for _, share, _ in truth.themes])
    out: list[Situation] = []
    for n in rng.choice(len(shares), usual, p=shares):
        theme, _, sides = truth.themes[n]
        out.append(posts.choose(theme, str(rng.choice(SIDES, p=sides)), rng))
    for side in rng.choice(SIDES, truth.viral_posts, p=truth.viral_sentiment):
        out.append(posts.choose("viral video", str(side), rng))
    return out


def draw_moments(truth: PostsTruth, rng: np.random.Generator) -> pd.Index:
    """When each post was sent: by day and evening over the year, and the viral ones in one evening."""
    usual = truth.posts - truth.viral_posts
    profile = np.array(
        [2, 1, 1, 1, 1, 2, 5, 8, 9, 8, 8, 8, 9, 8, 8, 9, 10, 12, 13, 13, 12, 11, 8, 4], dtype=float
    )
    hour = rng.choice(24, usual, p=profile / profile.sum())
    seconds = rng.integers(0, truth.days, usual) * 86_400 + hour * 3_600 + rng.integers(0, 3_600, usual)
    first = pd.Timestamp(truth.viral_evening) + pd.Timedelta(hours=18)
    burst = np.minimum(rng.gamma(2.0, 5_000, truth.viral_posts), 6 * 3_600 - 1).astype(int)
    start = pd.Timestamp(truth.first_day)
    return (start + pd.to_timedelta(seconds, unit="s")).append(first + pd.to_timedelta(burst, unit="s"))


def draw_authors(
    handle: np.ndarray, viral: np.ndarray, truth: PostsTruth, rng: np.random.Generator
) -> tuple[np.ndarray, np.ndarray]:
    """Who wrote each post (a number) and what their profile says; a few write much, viral authors are new."""
    author, place = np.zeros(len(handle), dtype=int), np.zeros(len(handle), dtype=object)
    known = 0
    for name in (*dict.fromkeys(handle), ""):
        rows = np.flatnonzero(viral if name == "" else (handle == name) & ~viral)
        size = max(3, int(0.5 * len(rows) if name else 0.95 * len(rows)))
        weight = 1 / np.arange(1, size + 1) ** (0.8 if name else 0.1)
        who = rng.choice(size, len(rows), p=weight / weight.sum())
        chances = np.array([truth.local if name else truth.viral_local, 0, truth.silent])
        chances[1] = 1 - chances.sum()
        says = rng.choice(["in the county", "elsewhere", ""], size, p=chances)
        author[rows], place[rows] = known + who, says[who]
        known += size
    return author, place


def label(
    sentiment: np.ndarray, sarcastic: np.ndarray, right: float, truth: PostsTruth, rng: np.random.Generator
) -> np.ndarray:
    """One person's labels: mistakes are mostly by one step, and sarcasm is taken at its word."""
    out = []
    for side, twisted in zip(sentiment, sarcastic, strict=True):
        if rng.random() < (truth.label_sarcasm if twisted else right):
            out.append(side)
        elif twisted:
            out.append("positive")
        elif side == "neutral":
            out.append(str(rng.choice(["negative", "positive"])))
        else:
            other = "positive" if side == "negative" else "negative"
            out.append(str(rng.choice(["neutral", other], p=(0.8, 0.2))))
    return np.array(out, dtype=object)


def towns_of(accounts: pd.DataFrame, rng: np.random.Generator) -> dict[str, list[str]]:
    """Three made-up towns for each force's county."""
    starts = [name.split()[0].replace("shire", "").rstrip("e") for name in accounts["account"]]
    return {
        handle: [start + str(end) for end in rng.choice(TOWN_ENDS, 3, replace=False)]
        for handle, start in zip(accounts["handle"], starts, strict=True)
    }


def write_posts(
    handle: np.ndarray,
    author: np.ndarray,
    matters: list[Situation],
    towns: dict[str, list[str]],
    rng: np.random.Generator,
) -> list[str]:
    """The texts; whoever writes twice does so in the same style."""
    styles = {who: pick_style(POST_STYLES, rng) for who in np.unique(author)}
    out: list[str] = []
    seen: set[str] = set()
    for name, who, matter in zip(handle, author, matters, strict=True):
        for _ in range(3):  # people repeat each other, but not often word for word
            cast = Cast(rng, str(rng.choice(towns[name])))
            text = posts.write(matter, str(name), cast, styles[who], rng)
            if text not in seen:
                break
        seen.add(text)
        out.append(text)
    return out


def draw_posts(
    world: World, accounts: pd.DataFrame, truth: PostsTruth, rng: np.random.Generator
) -> pd.DataFrame:
    """The posts in order of time; hidden `text.posts` holds theme, sentiment, sarcasm and situation."""
    matters, moments = draw_matters(truth, rng), draw_moments(truth, rng)
    viral = np.arange(truth.posts) >= truth.posts - truth.viral_posts
    weight = accounts["mentions_per_day"] ** 0.6
    handle = rng.choice(accounts["handle"].to_numpy(dtype=object), truth.posts, p=weight / weight.sum())
    handle[viral] = truth.home
    author, place = draw_authors(handle, viral, truth, rng)
    texts = write_posts(handle, author, matters, towns_of(accounts, rng), rng)
    theme, side = (np.array([m.facts[n] for m in matters], dtype=object) for n in (0, 1))
    sarcastic = np.array([posts.sarcastic(m) for m in matters])
    chosen = np.zeros(truth.posts, dtype=bool)
    chosen[rng.choice(truth.posts, truth.labelled, replace=False)] = True
    both = [pd.Series(label(side, sarcastic, right, truth, rng)).where(chosen) for right in truth.label_right]
    wrong = rng.choice(theme, truth.posts)
    said = pd.Series(np.where(rng.random(truth.posts) < truth.theme_right, theme, wrong)).where(chosen)
    likes = rng.poisson(rng.gamma(0.4, np.where(viral, 60, 9)))
    frame = pd.DataFrame(
        {"time": moments, "handle": handle, "author": author, "profile_place": place, "likes": likes}
    )
    frame = frame.assign(text=texts, label_a=both[0], label_b=both[1], label_theme=said)
    frame = frame.assign(
        theme=theme, sentiment=side, sarcasm=sarcastic, viral=viral, situation=[m.name for m in matters]
    )
    frame = frame.sort_values("time", kind="stable").reset_index(drop=True)
    frame.insert(0, "post", [f"FP-{n:05d}" for n in range(1, len(frame) + 1)])
    number = {who: n for n, who in enumerate(frame["author"].unique(), start=1)}
    frame["author"] = [f"U{number[who]:04d}" for who in frame["author"]]
    frame["profile_place"] = frame["profile_place"].mask(frame["profile_place"] == "")
    hidden = ["theme", "sentiment", "sarcasm", "viral", "situation"]
    world.hidden["text.posts"] = frame[["post", *hidden]]
    return frame.drop(columns=hidden)


def answers(seed: int = SEED) -> dict[str, pd.DataFrame]:
    """What every log, note and post is really about, for whoever marks: keys "logs", "notes" and "posts".

    Draws the world up to this family, which takes some seconds.
    """
    from psma.world import draw as draw_world

    hidden = draw_world(seed, [FAMILY]).hidden
    return {name: hidden[f"text.{name}"] for name in ("logs", "notes", "posts")}


def draw(world: World, rng: np.random.Generator) -> dict[str, pd.DataFrame]:
    """The five tables."""
    truth = TRUTH.text
    written, planted = draw_logs(world, truth.logs, rng)
    accounts = draw_accounts(truth.posts)
    return {
        "incident_logs.csv": written,
        "planted_names.csv": planted,
        "gp_notes.csv": draw_notes(world, truth.notes, rng),
        "force_accounts.csv": accounts,
        "force_posts.csv": draw_posts(world, accounts, truth.posts, rng),
    }
