"""The views of an experiment file: names and queries. They are stored for people who open it in plain DuckDB; our own
program makes them anew, temporary, and never runs stored ones."""

from __future__ import annotations

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
        SELECT t, start, "end", symbol, open, high, low, close, volume,
               last_value(CASE WHEN isnan(close) THEN NULL ELSE close END IGNORE NULLS)
                   OVER (PARTITION BY symbol ORDER BY t) AS mark, volume = 0 AS stale
        FROM (SELECT b.t, b.start, b."end", unnest(e.symbols) AS symbol,
                     unnest(b.open::DOUBLE[]) AS open, unnest(b.high::DOUBLE[]) AS high,
                     unnest(b.low::DOUBLE[]) AS low, unnest(b.close::DOUBLE[]) AS close,
                     unnest(b.volume::DOUBLE[]) AS volume
              FROM bars b, experiment e)""",
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
    "waterfall": """
        WITH price AS (
            SELECT t, symbol, mark, coalesce(lag(mark) OVER w, 0) AS before,
                   CASE WHEN isnan(open) THEN coalesce(lag(mark) OVER w, 0) ELSE open END AS opening
            FROM bar WINDOW w AS (PARTITION BY symbol ORDER BY t)),
        drift AS (  -- of the books that take the weights of a decision at the open of the bar after it
            SELECT s.episode, s.t AS decided, s.symbol, s.intent, s.approved, p.opening,
                   m.intent / (1 + sum(s.intent * (p.mark / nullif(p.opening, 0) - 1)) OVER d) AS intent_nav,
                   m.approved / (1 + sum(s.approved * (p.mark / nullif(p.opening, 0) - 1)) OVER d) AS approved_nav
            FROM weights s JOIN price p ON p.symbol = s.symbol AND p.t = s.t + 1
            JOIN mark m ON m.episode = s.episode AND m.t = s.t + 1
            WINDOW d AS (PARTITION BY s.episode, s.t)),
        after AS (
            SELECT m.episode, m.t, p.symbol, p.before, p.opening, coalesce(p.mark, 0) AS mark, m.borrow,
                   lag(m.nav) OVER s AS nav, lag(m.intent) OVER s AS intent_nav, lag(m.approved) OVER s AS approved_nav,
                   last_value(d.decided IGNORE NULLS) OVER s AS decided,
                   coalesce(last_value(d.intent * d.intent_nav / nullif(d.opening, 0) IGNORE NULLS) OVER s, 0)
                       AS intent,
                   coalesce(last_value(d.approved * d.approved_nav / nullif(d.opening, 0) IGNORE NULLS) OVER s, 0)
                       AS approved,
                   coalesce(sum(f.quantity) OVER s, 0) AS shares,
                   coalesce(f.commission, 0) AS commission, coalesce(f.spread, 0) AS spread,
                   coalesce(f.impact, 0) AS impact
            FROM mark m JOIN price p USING (t)
            LEFT JOIN drift d ON d.episode = m.episode AND d.symbol = p.symbol AND d.decided + 1 = m.t
            LEFT JOIN fills f ON f.episode = m.episode AND f.symbol = p.symbol AND f.t = m.t
            WINDOW s AS (PARTITION BY m.episode, p.symbol ORDER BY m.t)),
        earned AS (
            SELECT *, greatest(-shares, 0) * mark AS short,
                   lag(intent, 1, 0) OVER s * (opening - before) + intent * (mark - opening) AS intended,
                   lag(approved, 1, 0) OVER s * (opening - before) + approved * (mark - opening) AS let_through,
                   lag(shares, 1, 0) OVER s * (opening - before) + shares * (mark - opening) AS gross
            FROM after WINDOW s AS (PARTITION BY episode, symbol ORDER BY t)),
        scaled AS (
            SELECT episode, t, decided, symbol, commission, spread, impact, gross,
                   coalesce(intended * nav / nullif(intent_nav, 0), 0) AS intent,
                   coalesce(let_through * nav / nullif(approved_nav, 0), 0) AS approved,
                   coalesce(borrow * short / nullif(sum(short) OVER (PARTITION BY episode, t), 0), 0) AS borrow
            FROM earned WHERE decided IS NOT NULL)
        SELECT episode, t, decided, symbol, intent, approved - intent AS risk, gross - approved AS execution,
               -commission AS commission, -spread AS spread, -impact AS impact, -borrow AS borrow,
               gross - commission - spread - impact - borrow AS executed
        FROM scaled""",
}
"""Name -> query; each may use those before it."""
