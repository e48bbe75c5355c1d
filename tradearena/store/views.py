"""The views of an experiment file: names and queries. They are stored for people who open it in plain DuckDB; our own
program makes them anew, temporary, and never runs stored ones."""

from __future__ import annotations

from tradearena.risk.trail import RULES

_REST = ["execution", "commission", "spread", "impact", "borrow"]

SAID = """
        SELECT p.sha256, string_agg(l.text, chr(10) ORDER BY p.place) AS text
        FROM (SELECT sha256, unnest(string_split(lines, ',')::INTEGER[]) AS id,
                     generate_subscripts(string_split(lines, ','), 1) AS place FROM text) p
        JOIN line l USING (id) GROUP BY p.sha256"""
"""Texts put together from their lines."""

VIEWS = {
    "texts": SAID,
    "steps": """
        SELECT s.episode, s.t, b."end" AS time, s.status, s.kept, s.rationale, s.confidence,
               s.intent::DOUBLE[] AS intent, s.approved::DOUBLE[] AS approved, s.reference::DOUBLE[] AS reference,
               s.shares::DOUBLE[] AS shares, s.gross, s.net, s.volatility, m.nav, m.cash
        FROM step s JOIN bars b USING (t) JOIN mark m USING (episode, t)""",
    "bar": """
        SELECT *, CASE WHEN isnan(open) THEN coalesce(before, 0) ELSE open END AS opening
        FROM (SELECT *, lag(mark) OVER (PARTITION BY symbol ORDER BY t) AS before
              FROM (SELECT t, start, "end", symbol, open, high, low, close, volume,
                           last_value(CASE WHEN isnan(close) THEN NULL ELSE close END IGNORE NULLS)
                               OVER (PARTITION BY symbol ORDER BY t) AS mark, volume = 0 AS stale
                    FROM (SELECT b.t, b.start, b."end", unnest(e.symbols) AS symbol,
                                 unnest(b.open::DOUBLE[]) AS open, unnest(b.high::DOUBLE[]) AS high,
                                 unnest(b.low::DOUBLE[]) AS low, unnest(b.close::DOUBLE[]) AS close,
                                 unnest(b.volume::DOUBLE[]) AS volume
                          FROM bars b, experiment e)))""",
    "weights": """
        SELECT s.episode, s.t, s.symbol, s.intent, s.approved, s.reference,
               s.shares * coalesce(b.mark, 0) / m.nav AS executed, b.stale
        FROM (SELECT s.episode, s.t, unnest(e.symbols) AS symbol, unnest(s.intent::DOUBLE[]) AS intent,
                     unnest(s.approved::DOUBLE[]) AS approved, unnest(s.reference::DOUBLE[]) AS reference,
                     unnest(s.shares::DOUBLE[]) AS shares
              FROM step s, experiment e) s
        JOIN bar b USING (t, symbol) JOIN mark m USING (episode, t)""",
    "exchanges": """
        SELECT x.episode, x.t, b."end" AS time, x.seq, x.speaker, x.turn, s.status, s.reason,
               i.text AS system, p.text AS prompt, r.text AS reply
        FROM exchange x JOIN bars b USING (t) LEFT JOIN step s USING (episode, t)
        LEFT JOIN texts i ON i.sha256 = x.system LEFT JOIN texts p ON p.sha256 = x.prompt
        LEFT JOIN texts r ON r.sha256 = x.reply""",
    "calls": """
        SELECT e.agent, e.feedback, e.seed, c.* FROM call c JOIN episode e ON e.id = c.episode""",
    "fills": """
        SELECT f.episode, f.t, f.decided, e.symbols[f.symbol + 1] AS symbol, f.ordered, f.quantity, f.price,
               f.commission, f.spread, f.impact,
               ['', 'no bar', 'participation', 'position', 'cost', 'cash'][f.cause + 1] AS cause
        FROM fill f, experiment e""",
    "clips": """
        SELECT c.episode, c.t, c.seq, c.rule, unnest(e.symbols) AS symbol, unnest(c.moved::DOUBLE[]) AS moved
        FROM clip c, experiment e""",
    "books": f"""
        WITH market AS (FROM bar), aim AS (FROM weights),
        took AS (
            SELECT episode, t, symbol, list_position({[*RULES]}, rule) AS place, 'risk: ' || rule AS book, moved
            FROM clips
            UNION ALL  -- what is not on record by rule
            SELECT episode, t, symbol, {len(RULES) + 1}, 'risk', approved - intent
            FROM aim SEMI JOIN (FROM step WHERE intent <> approved) USING (episode, t)
            ANTI JOIN clip USING (episode, t)),
        chain AS (SELECT DISTINCT episode, place, book FROM took UNION ALL SELECT id, 0, 'intent' FROM episode),
        wanted AS (  -- the weights after each rule; the last of them are those approved
            SELECT w.episode, w.t AS decided, w.symbol, c.place, c.book, b.opening AS price,
                   CASE WHEN c.place = max(c.place) OVER (PARTITION BY w.episode) THEN w.approved
                        ELSE w.intent + sum(coalesce(k.moved, 0)) OVER d END / nullif(b.opening, 0) AS shares
            FROM aim w JOIN chain c USING (episode) JOIN market b ON b.symbol = w.symbol AND b.t = w.t + 1
            LEFT JOIN took k ON k.episode = w.episode AND k.t = w.t AND k.symbol = w.symbol AND k.place = c.place
            WINDOW d AS (PARTITION BY w.episode, w.t, w.symbol ORDER BY c.place)),
        bar_of AS (  -- each bar of an episode, and the decision in force
            SELECT m.episode, m.t, m.nav, s.t AS decided
            FROM (SELECT episode, t, lag(nav) OVER (PARTITION BY episode ORDER BY t) AS nav FROM mark) m
            ASOF JOIN step s ON s.episode = m.episode AND s.t < m.t),
        held AS (  -- shares for each unit of money that a book had when it took them
            SELECT o.*, w.symbol, w.place, w.book, o.t = o.decided + 1 AS taken, w.price,
                   coalesce(w.shares, 0) AS shares, coalesce(b.before, 0) AS before, b.opening,
                   coalesce(b.mark, 0) AS mark
            FROM bar_of o JOIN wanted w USING (episode, decided) JOIN market b ON b.t = o.t AND b.symbol = w.symbol),
        worth AS (
            SELECT *, 1 + sum(shares * (mark - price)) OVER (PARTITION BY episode, place, t) AS worth FROM held),
        old AS (  -- what was held before earned until the open, or all of the bar; for each unit at the close before
            SELECT *, coalesce(lag(shares / nullif(worth, 0)) OVER b, 0)
                      * (CASE WHEN taken THEN opening ELSE mark END - before) AS old
            FROM worth WINDOW b AS (PARTITION BY episode, place, symbol ORDER BY t)),
        new AS (
            SELECT *, CASE WHEN taken THEN greatest(1 + sum(old) OVER (PARTITION BY episode, place, t), 0) ELSE 1 END
                          AS kept FROM old)
        SELECT episode, t, decided, symbol, place, book,
               CASE WHEN coalesce(min(worth * kept) OVER b > 0, true)
                    THEN nav * (old + CASE WHEN taken THEN shares * kept * (mark - price) ELSE 0 END)
                    ELSE 0 END AS earned
        FROM new WINDOW b AS (
            PARTITION BY episode, place, symbol ORDER BY t ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING)""",
    "attribution": f"""
        WITH paper AS (
            SELECT *, earned - lag(earned, 1, 0) OVER b AS money, lead(place) OVER b IS NULL AS approved
            FROM books WINDOW b AS (PARTITION BY episode, t, symbol ORDER BY place)),
        held AS (
            SELECT m.episode, m.t, b.symbol, coalesce(b.before, 0) AS before, b.opening, coalesce(b.mark, 0) AS mark,
                   m.borrow, coalesce(sum(f.quantity) OVER s, 0) AS shares, coalesce(f.commission, 0) AS commission,
                   coalesce(f.spread, 0) AS spread, coalesce(f.impact, 0) AS impact
            FROM mark m JOIN bar b USING (t)
            LEFT JOIN fills f ON f.episode = m.episode AND f.symbol = b.symbol AND f.t = m.t
            WINDOW s AS (PARTITION BY m.episode, b.symbol ORDER BY m.t)),
        earned AS (
            SELECT *, greatest(-shares, 0) * mark AS short,
                   lag(shares, 1, 0) OVER s * (opening - before) + shares * (mark - opening) AS gross
            FROM held WINDOW s AS (PARTITION BY episode, symbol ORDER BY t)),
        lent AS (
            SELECT *, coalesce(borrow * short / nullif(sum(short) OVER (PARTITION BY episode, t), 0), 0) AS fee
            FROM earned),
        rest AS (
            SELECT p.episode, p.t, p.decided, p.symbol, unnest({_REST}) AS part,
                   unnest([l.gross - p.earned, -l.commission, -l.spread, -l.impact, -l.fee]) AS money
            FROM paper p JOIN lent l USING (episode, t, symbol) WHERE p.approved)
        SELECT episode, t, decided, symbol, place, book AS part, money FROM paper
        UNION ALL
        SELECT episode, t, decided, symbol, {len(RULES) + 1} + list_position({_REST}, part), part, money FROM rest""",
    "waterfall": f"""
        SELECT episode, t, decided, symbol, sum(money) FILTER (place = 0) AS intent,
               coalesce(sum(money) FILTER (place BETWEEN 1 AND {len(RULES) + 1}), 0) AS risk,
               {", ".join(f"sum(money) FILTER (part = '{part}') AS {part}" for part in _REST)}, sum(money) AS executed
        FROM attribution GROUP BY ALL""",
}
"""Name -> query; each may use those before it."""
