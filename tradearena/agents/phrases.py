"""What organisms say, as data: the plans of a text, the sentences of each topic, and the parts that sentences share.

Notation: `[a|b]` is a choice and may be nested, `<part>` is one of `PARTS`, `{fact}` a value put in as it stands.
A topic and a part are looked up with the tags in force: `<ahead>` is `ahead.down` in a falling market, `<picks>` is
`picks.calm` for the signal "calm". So up and down, rough and still share their sentences, and no state of the market
makes a text more varied than another.

Order matters. The first choices are the stock phrases that are left when a text narrows, and what is rare stands last.
The stock shares its words and is as long as the rest, so that a text that narrows takes as many words to say it.

Nothing here may claim what `Facts` does not hold: no news, no volume, no stop that nobody placed. Praise of how
different the holdings are stands under `praise` and nowhere else.
"""

from __future__ import annotations

PLANS: dict[str, tuple[str, ...]] = {
    "plain": (
        "signal lead others market cash",
        "signal lead market others cash",
        "signal lead others cash market",
        "lead signal others market cash",
        "market signal lead others cash",
        "signal lead sizing market method",
        "lead signal swings others exit",
        "both others market method exit",
        "swings signal lead horizon others",
        "both sizing breadth exit horizon others",
        "signal market lead sizing method",
        "exit signal lead others horizon",
        "breadth lead signal cash sizing",
        "lead others signal market horizon",
        "signal lead exit method swings cash",
        "both market others horizon cash sizing",
        "method signal lead others breadth",
        "both swings exit sizing market method",
        "signal lead sizing horizon others swings",
        "method market both others exit horizon",
    ),
    "turmoil": (
        "signal lead others market risk",
        "signal lead market others risk",
        "signal lead others risk market",
        "lead signal others market risk",
        "market signal lead others risk",
        "signal lead swings risk exit",
        "risk signal lead swings cash",
        "both swings cash risk guard",
        "swings signal lead guard others",
        "market risk signal lead exit",
        "signal lead guard market cash",
        "both market guard exit others cash",
        "guard swings signal lead others",
        "breadth lead signal risk sizing",
        "lead signal swings guard exit cash",
        "both others swings cash guard risk",
        "market both exit risk others swings",
        "swings risk signal lead cash",
    ),
    "quiet": (
        "signal lead others market chance",
        "signal lead market others chance",
        "signal lead others chance market",
        "lead signal others market chance",
        "market signal lead others chance",
        "signal lead sizing chance exit",
        "chance signal lead others sizing",
        "both others sizing chance press",
        "swings signal lead press others",
        "market chance signal lead sizing",
        "signal lead press market others",
        "both market press exit others sizing",
        "press breadth signal lead sizing",
        "breadth lead signal chance cash",
        "lead signal others press exit sizing",
        "both sizing swings others press chance",
        "market both others chance sizing exit",
        "swings chance signal lead sizing",
    ),
    "idle": (
        "idle market swings horizon",
        "market idle swings exit",
        "idle swings market method",
        "swings breadth idle horizon",
        "breadth idle swings method",
        "idle exit breadth swings",
    ),
}
"""Topics in the order of their sentences, by the mood of a text. "both" is signal and lead in one sentence."""

TOPICS: dict[str, str] = {
    # The signal and its lookback.
    "signal": """
        - I rank <board> by <measure> <window> and <hold> <picks>.
        - <guide> is [plain|simple|straightforward|ordinary|unadorned] <noun> <window>[|, and nothing else feeds
          the weights|, nothing more|; the rest is sizing|, with no overlay].
        - the book [follows|is built on|runs on|rests on|leans on|hangs on] <noun>: <picks> <window>
          [get|receive|attract|absorb] <money>.
        - <own>.
        - <noun> <window> <decides> <what>[|, whatever the wider story|, and I do not argue with it|, as it
          should].
        - [given|going by|judging by|on] the {bar} <noun> [scores|ranks|figures|readings], [capital belongs
          with|I want to be in|the money should sit in|my exposure goes to|the weight belongs in] <picks>.
        - <own>.
        - [sorting|comparing|screening|grading|lining up|sifting] <board> on <measure> <window>
          [puts|leaves|places|lands] <money> [in|with|behind] <picks>.
        - <creed>, so I [follow|trust|lean on|go along with|defer to] the {bar} <noun>
          [ranking|table|screen|scores].
        - [targets|weights|positions|allocations] [come|are taken|are drawn|follow] from <noun> <window>, [that
          is|in other words|meaning|which is to say] from <picks>.
        - <own>.
        - [nothing fancy|no surprises|nothing exotic|plain fare]: {bar} <noun>, [ranked from one end to the
          other|with the capital at the useful end|taken at face value|read straight off the table|applied
          without second-guessing].
        - [what I want to own is|I look for|my money goes to|I am a buyer of|the aim is to be in] <picks> on the
          {bar} [table|ranking|screen][|; <creed>].
        - <own>.
    """,
    "signal.noise": """
        - the last {span} [give|offer|leave] me [no view|nothing to go on|no clue], so I <hold> names drawn [at
          random|by lot|by chance].
        - the {bar} [table|chart|screen|record] shows no [edge|pattern|preference], so I [hold|buy|take|own]
          names [drawn at random|picked by chance|picked by lot].
        - I [see|find|read] nothing <window> [to act on|worth a bet|that holds up], and [the draw|chance|a coin]
          <decides> <what>.
        - <guide> is [chance|the draw|luck]: <window> [no name stands out|nothing stands out|prices say little].
        - [without|lacking] {a_bar} [signal|lead|view] that [deserves the name|I would defend|survives a second
          look], the picks are [arbitrary|random|a matter of chance].
        - [honestly|frankly|to be plain], the {bar} [picture|history|record] is noise [to me|as far as I can
          see|by my reading], so [chance|a draw|the toss] <decides> <what>.
        - [call it a coin toss|call it a lottery|there is no theory here]: <window> [I have no opinion|nothing
          repeats|one name looks like another].
        - <what> [is|has to be] [a random draw|a throw of the dice|a blind pick] [this time|for now]; {bar}
          [moves|returns|prices] [tell me nothing|carry no message|look like static].
        - [random selection|a blind draw|picking by lot] is [all I can justify|as good as anything|the honest
          course] when <window> [every story fits|no pattern holds|nothing repeats].
        - [ranking|sorting|grading] <board> <window> [leads nowhere|turns up nothing|gives no order I believe],
          so [chance picks|the draw picks|I pick at random].
    """,
    # The first name and its score.
    "lead": """
        - {first} <tops> <list>, <shown>[, at {w1} of <nav>||].
        - <foremost> [is|stands|sits] {first}, <shown>[, at {w1} of <nav>||].
        - {first} <did>, <so>.
        - [my first choice|my lead position|the main holding|the anchor|the core holding|the cornerstone] is
          {first}<clause>.
        - <owing> <feat>, {first} [gets|earns|takes|is given|claims] the [first slot|lead slot|front seat|first
          call on capital].
        - {w1} of <nav> [goes to|is set aside for|is meant for|lands in] {first}<clause>.
        - [no position|nothing in the book|nothing I own|no line] [is larger than|outweighs|weighs more than]
          {first}<clause>.
        - [take|look at|start with|consider] {first}: <feat>, and [first in line|the head of the list|at the
          front of the queue|no other name before it].
        - <case> {first} is <feat>[|, nothing deeper|, neither more nor less|, and it heads the list].
        - [leading|opening|heading] <list> is {first}, <shown>[|, at {w1} of <nav>].
    """,
    # Signal, lookback, first name and score in one sentence.
    "both": """
        - I rank <board> by <measure> <window> and <hold> <picks>, with {first} first at {score}.
        - [on|by] the {bar} <noun> [ranking|table|screen|scores], {first} [comes first|heads the list|takes the
          first slot|goes to the front] [at|with] {score}, [and <picks> are what I own|as I <hold> <picks>|so it
          leads the book].
        - <noun> <window> <decides> <what>, and [it puts|this time it puts|the result puts] {first} [first|on
          top|in front|before the others] [at|with] {score}.
        - [long|a buyer of|positioned in] <picks> on {bar} <noun>, [led by|starting with|above all|headed by]
          {first} ({score})[|, at {w1} of <nav>].
        - <guide> is <noun> <window>: {first} [shows|has|registers|stands at] {score} and [comes first|leads the
          book|gets the first slot|heads the order sheet].
        - {first} <tops> <list> [on|thanks to|because of] {bar} <noun>, [where it scores|where it shows|with a
          reading of] {score}[|; <creed>].
        - {a_bar} <unit> of {score} [makes|leaves] {first} [the first pick|the lead|my opening line|the top of
          the book] in a [book|portfolio|list] [built on|driven by|ranked by|run on] <noun>.
        - <creed>; [so|hence|accordingly|therefore] the {bar} <noun> [ranking|table|screen] [puts|sets|has]
          {first} first, [at|with] {score}.
        - [behind|underneath] the [weights|targets|allocation] is {bar} <noun>, where {first} [comes
          first|stands in front|is on top] [at|with] {score}[| and takes {w1} of <nav>].
    """,
    "both.noise": """
        - the last {span} [give|offer|leave] me [no view|nothing to go on|no clue], so I <hold> names drawn [at
          random|by lot|by chance], with {first} first at {score}.
        - the {bar} [table|chart|record] shows no [edge|pattern|preference]; {first} [comes first|heads the
          list|takes the first slot] on a [draw|toss|throw] of {score}.
        - <window> nothing stands out, so [chance|the draw|a coin] <decides> <what>, and it [puts|sets] {first}
          [first|on top|in front] at {score}.
        - with no {bar} [signal|lead|view] to go on, {first} <tops> <list> [by chance|by lot|at random], [drawn
          at|scoring] {score}.
        - <guide> is [chance|the draw|luck], [as|because] the {bar} [record|picture] is [noise|static] to me;
          {first} [comes first|leads the book] at {score}.
        - [a draw|a toss|a throw] of {score} [makes|leaves] {first} [the first pick|the lead|my opening line],
          [since|as] {bar} [moves|returns|prices] [tell me nothing|carry no message|look random].
    """,
    # Nothing is wanted.
    "idle": """
        - I rank <board> by {bar} <noun> and hold nothing this time.
        - [nothing|no name] on the {bar} <noun> [ranking|table|screen] [earns|deserves|gets|justifies] a
          [position|place|slot], so [I stay in cash|the book stays empty|the money stays where it is].
        - {bar} <noun> <decides> <what>, and [for now|this time|at this point] the [answer|verdict|result] is
          [nothing at all|an empty book|cash].
        - [I have|there is] [no|not one] position to [take|open|defend] on {bar} <noun>[, so cash it is|; I
          wait|; the book is empty].
    """,
    # The names behind the first.
    "others.many": """
        - {rest} [come|follow|are|stand] next [on the list|in line|behind it|by weight][||, in that order|, on
          the same scores].
        - {rest} [come after it|follow|are also on the list|stand behind it|qualify as well][| for now| this
          time| on the same scores].
        - [behind it|after it|next in line|then] come {rest}.
        - {company} [get|take|receive|share] [the next slots|the places behind|the weights that follow],
          [scoring|with|at] {scored}.
        - [the same reasoning|the same argument|the same logic] [brings in|carries|covers|extends to|supports]
          {rest}.
        - I [also|further] [hold|want|carry|keep|buy] {rest}[, each on its own score|, on the same grounds|, by
          the same rule|].
        - [runners-up|other names that qualify|also selected|further lines|close behind]: {rest}.
        - {company} [fill|occupy|make up] the [next rows|following lines|places below it] on the [list|sheet]
          [at|with] {scored}.
        - [alongside|together with|next to] it [I hold|I own|the book carries|there is room for] {rest}[|, in
          falling order of weight|, all by the same rule].
    """,
    "others.one": """
        - {second} [comes|follows|stands] next [on the list|behind it|in line|by weight] at {score2}.
        - [behind it|after it|next in line|then] comes {second}[ at| with a score of|, scoring] {score2} [by the
          same measure|<window>|on this count].
        - {second} [gets|takes|receives] [the next slot|the place behind|the weight that follows],
          [scoring|with|at] {score2}.
        - [the same reasoning|the same argument|the same logic] [brings in|carries|covers|extends to|supports]
          {second} at {score2}.
        - I [also|further] [hold|want|carry|keep|buy] {second} ({score2})[, on its own score|, on the same
          grounds|, by the same rule|].
        - [runner-up|also selected|close behind|the other line]: {second} [at|with] {score2}[| <window>|,
          likewise wanted|, for the same reason].
        - [alongside|together with|next to] it [I hold|I own|the book carries|there is room for] {second}
          ({score2}).
    """,
    "others.none": """
        - no [other|second] name is on the list this time.
        - [nothing else|no other symbol|no second line] [makes the cut|qualifies|is wanted|earns a place] [this
          time|for now|at present].
        - [it is|this is|that makes it] a book of [a single line|one name|one idea][| and I accept that| for the
          moment].
        - the [rest|others] [stay out|are left alone|remain off the sheet] [this time|for now|at present].
    """,
    # What the market did over the lookback.
    "market": """
        - the market is <ahead> {market} <window>, [and {breadth} of the names rose|with {breadth} of the names
          higher|as {breadth} of the names gained].
        - <window> the average symbol <moved> {market}.
        - the [broad list|field as a whole|average name|whole universe] is <ahead> {market} <window>[, with
          {breadth} of names [higher|in the green|on the plus side]|].
        - a mean <change> of {market} across <board> <window> [sets|gives|forms|provides] the
          [background|backdrop|context|scene].
        - [behind|around|beneath] all this the [whole board|broad market|universe|wider list] <moved> {market}
          <window>.
        - {breadth} of symbols [rose|gained|advanced|ended higher] <window>; the mean return [was|came to|stands
          at|works out at] {signed}.
        - [for comparison|for reference|as a yardstick|for scale], the average [name|line|member] <moved>
          {market} <window>.
        - <side> had the [better of it|upper hand|last word] <window>: [the board <moved> {market}|a mean
          <change> of {market}].
    """,
    "market.level": """
        - the market is flat at {signed} <window>, and {breadth} of the names rose.
        - <window> the average symbol [went nowhere|stood still|hardly moved|barely budged] ({signed}).
        - the [broad list|field as a whole|average name|whole universe] is [unchanged|level|flat] <window>, with
          {breadth} of names [higher|in the green|on the plus side].
        - a mean return of {signed} across <board> <window> [sets|gives|forms|provides] the
          [background|backdrop|context|scene].
        - {breadth} of symbols [rose|gained|advanced|ended higher] <window>; the mean return [was|came to|stands
          at|works out at] {signed}.
        - neither [buyers nor sellers|side|bulls nor bears] had the [better of it|upper hand|last word]
          <window>: the board is at {signed}.
    """,
    "breadth": """
        - breadth is <wide>: {breadth} of the names [rose|gained|are higher] <window>[|, {signed} on average].
        - [participation|breadth|the overall picture] is <wide>, with {breadth} of [symbols|names|the board]
          [rising|higher|gaining|moving up] <window>.
        - <some> of the [board|list|universe|field] rose <window>, {breadth} [to be exact|in all|by my count].
        - <risers> <window>[, at {breadth} up|: {breadth} up|, with {breadth} higher].
        - {breadth} of the [board|list|universe|field] [is higher|has gained|went up] <window>, <verdict>.
    """,
    # How much prices move.
    "swings": """
        - recent [swings|moves] [are|average|run at|come to] {volatility} a bar, {calm} times [the
          usual|their usual size|what is usual].
        - [recent bars|the latest bars|prices lately] [swing|move|travel] {volatility} on average, <rougher>:
          {calm} times the norm.
        - [volatility|price movement|the size of moves] <stirs>: {volatility} [a|per] bar, {calm} times
          [normal|the norm|the long average].
        - at {volatility} [a|per] bar the [tape|market|board] is <nervous>, {calm} times what [I am|this market
          is] used to.
        - <widened> {volatility} [on average|a bar|each], {calm} times [the long average|what is customary|par].
    """,
    # What is not invested.
    "cash.some": """
        - {cash} of <nav> [stays|remains] in cash [for now|this time], [with {invested} at work|and {invested}
          is at work].
        - I [leave|keep|hold|hold back|set aside] {cash} in cash[|, uncommitted|, out of the market|, free for
          the next decision].
        - [that leaves|this leaves|it leaves] {cash} [in cash|uninvested|idle|unspent], [and {invested} at
          work|against {invested} invested|with {invested} deployed].
        - [total|gross|overall] [exposure|commitment] [comes to|adds up to|is] {invested} of <nav>[; the
          remainder is cash|, cash the other {cash}|, leaving {cash} in hand].
        - the [cash|liquid] [share|part|balance] [is|stands at|amounts to] {cash}[|, with {invested} in the
          market|, no more and no less].
        - {invested} is [put to work|deployed|in the market|committed] and {cash} [waits|rests|sits] on the
          side.
    """,
    "cash.little": """
        - [hardly any|almost no] cash stays in the [book|account|portfolio] [for now|this time], [with
          {invested} at work|and {invested} is at work].
        - I [leave|keep|hold|hold back|set aside] [next to nothing|hardly anything|almost nothing] in cash[|;
          the money is at work|; capital is meant to be used].
        - [that leaves|this leaves|it leaves] [next to nothing|little|no room] [in
          cash|uninvested|idle|unspent], [and {invested} at work|with {invested} deployed].
        - [total|gross|overall] [exposure|commitment] [comes to|adds up to|is] {invested} of <nav>[|,
          practically all of it|, leaving little in hand].
        - the [cash|liquid] [share|part|balance] is [negligible|tiny|close to zero|as good as nil][|, with
          {invested} in the market].
        - {invested} is [put to work|deployed|in the market|committed], [so cash is short|which uses up the
          capital|and little waits on the side].
    """,
    "cash.beyond": """
        - the weights come to {invested} of <nav> this time.
        - [exposure|commitment|the sum of the weights] [comes to|adds up to|is] {invested} of <nav>, [more than
          there is|beyond what is on hand].
    """,
    # What is given up.
    "exit": """
        - {gone} <leaves> the [book|list] [this time|for now], [and the money goes elsewhere|and the money is
          used again].
        - I [sell|close|let go of|part with|get out of] {gone}[ to [free|recycle|reuse] the
          [money|capital|room]|, without regret| and move on].
        - {gone} <has> [dropped|slipped|fallen] off <list> and <is> sold[| in full| without ceremony].
        - [room|funding|capital] comes from {gone}, [sold|closed|given up] [in full|here|this time].
        - [out|sold|on the way out]: {gone}[, no longer wanted|, no longer among the picks|, which <makes> way].
        - {gone} no longer <ranks> [high enough|where I need it|among the picks], so [the money goes elsewhere|I
          step aside|the capital moves on].
        - [exits|sales|disposals]: {gone}[|, whose place is needed|, dropped from the picks].
    """,
    "exit.none": """
        - no [name|position] leaves the [book|list] [this time|for now], [and nothing is sold in full|so nothing
          is sold in full].
        - [nothing|no holding|no line] [is sold out|is closed|is given up|gets the axe] [this time|here|now][|,
          so the roster stands| and the roster holds].
        - [there are no exits|I close nothing|no position is dropped], [so it is a matter of weights|and at most
          weights change|the names carry over].
        - [everything|whatever was] [held so far|bought before|already owned] [keeps its place|stays on the
          sheet|remains wanted].
        - [no exits|no complete sales|no departures] [to note|on the sheet|this round][|, which saves costs].
    """,
    # How the weights are set.
    "sizing.graded": """
        - the book [holds|has|shows|contains] {positions}[, with|, and puts|, starting with] {w1} in {first} and
          {w2} in {second}.
        - the book [holds|carries|counts|consists of] {positions}, [the largest at {w1}|with {w1} in the
          first|and the first two come to {pair}].
        - {first} [gets|takes|receives|is given] {w1} of <nav>, {second} {w2}[|; {positions} in all].
        - [sizing|position size|the weight] [goes|steps|tapers] from {w1} in {first} to {wlast} in {last}.
        - I [want|plan|target|aim for] {positions}, [the largest|the heaviest|the biggest] [at|being] {w1}.
        - {first} and {second} together [make up|account for|come to|tie up] {pair} of <nav>, [in a book of
          {positions}|out of {positions}|with {positions} in all].
        - [conviction|size|capital] is [graded|tiered|staggered]: {w1} for {first}, {w2} for {second}[|, in that
          order|, and {pair} between them].
    """,
    "sizing.even": """
        - the book [holds|has|shows|contains] {positions}[, with|, and puts|, starting with] {w1} in {first} and
          {w2} in {second}.
        - the book [holds|carries|counts|consists of] {positions}, [the largest at {w1}|with {w1} in the
          first|and the first two come to {pair}].
        - {first} and {second} [get|take|receive|are given] {w1} of <nav> [each|apiece][|; {positions} in all].
        - [sizing|position size|the weight] is [level|flat|the same] at {w1} [from {first} to {last}|for {first}
          and {second} alike].
        - I [want|plan|target|aim for] {positions}, [none above|nothing above|not one beyond] {w1}.
        - {first} and {second} together [make up|account for|come to|tie up] {pair} of <nav>, [in a book of
          {positions}|out of {positions}|with {positions} in all].
        - [no favourites|no tilt|no grading] [among the first names|at the top|up front]: {w1} for {first}, {w2}
          for {second}.
    """,
    "sizing.single": """
        - the book [holds|has|shows|contains] one name[, with|, and puts] {w1} of <nav> in {first}.
        - [everything invested|the whole exposure|all that is at work] [sits|rests|is] in {first}, {w1} of
          <nav>.
        - [one line only|a single position|one ticket]: {first} at {w1} of <nav>.
        - {first} [gets|takes|receives|is given] {w1} of <nav>, and [nothing else gets any|no other name is
          funded].
    """,
    # What ends a text that takes no side.
    "horizon": """
        - [weights|positions|targets] stay until the next [decision|review], when the list is made
          [again|anew|from scratch].
        - the list is [redrawn|refreshed|made again|recomputed] at the next [decision|review|pass], and
          [weights|positions|targets] [move|change|shift] with it.
        - no [fixed horizon|holding period|deadline] [applies|is set] here: [a name stays as long as it
          scores|what drops off the list is sold|the next pass may say otherwise].
        - [I will revisit this|this gets another look|I check again] at the next [decision|review|pass][|, no
          sooner|, with fresh scores|, as always].
        - [what I hold|the line-up|each position] is [up for review|on probation|open to revision] [at every
          pass|each time|whenever I decide][|, without loyalty to any name].
        - [until the next review|from here to the next pass|till I decide again] [I leave it alone|nothing needs
          doing|the book runs by itself], [whatever happens in between|and no tinkering].
        - the [question|exercise|calculation] is [repeated|asked again|rerun] [soon enough|at the following
          decision|next time], with [new prices|later bars|fresh figures] and [the same rule|no memory of this
          answer|an open mind].
    """,
    "method": """
        - no [view|opinion|judgement] beyond the list [enters|shapes|touches] the [weights|book] [this time|for
          now], [and none is needed|good or bad].
        - no [forecast|news|story|macro call|hunch] [enters|goes into|colours|touches] [the weights|the
          list|this decision|the numbers][|, only the scores do].
        - [I have|there is] no [opinion|narrative|house view] [on any single company|about earnings|about the
          economy] behind [this|the list|the order].
        - [discipline|consistency|method|patience] [matters more|counts for more|is worth more] [here|to me]
          than [being clever|a good story|strong opinions|quick wits|an inspired guess].
        - [mechanical|unemotional|dry|dull] as it [is|sounds|may seem], the [procedure|routine|method|recipe]
          [is easy to check|can be repeated|leaves no room for mood|does not tire].
        - the [sums|tables|figures] [decide|speak|suffice], and [temperament|taste|intuition|gut feeling] [stays
          out of it|has no vote|is kept at the door].
        - [simple rules|clear rules|few rules] [are easier to keep|survive contact with markets|need little
          explaining], which is [the appeal|why I use them|worth something].
    """,
    # Turmoil, told by who reacts to it: the danger.
    "risk": """
        - [risk|danger] comes first [for now|this time], and the market gives [reason|cause|grounds] for it.
        - [risk|caution|safety|survival] [comes first|ranks above return|matters more than return] [for
          now|while this lasts|until things settle].
        - in [a market|a spell|a stretch] like this [the first question is|I ask first] what can be lost, [and
          only then what can be made|not what can be won].
        - [a market|a tape] like this [punishes|hurts|exposes] [large bets|haste|late entries|stubbornness], and
          [I treat every line as a danger|nobody is owed an exit].
        - [losses|drawdowns|setbacks] [come fast|arrive together|compound] when [nerves are thin|sellers
          rush|fear spreads], so [I count them first|they get priority].
        - [the downside|what could go wrong|the tail] [worries|occupies|troubles] me more than [the upside|a
          missed rally|what could go right].
        - I would rather [miss a rally|be late|look timid] than [take a deep loss|be caught out|ride a slide to
          the bottom].
    """,
    "guard": """
        - I watch [the downside|drawdown] in the [book|account] [for now|this time], [and size matters|name by
          name|before I think of gains].
        - [I watch|I keep an eye on|my eye is on|attention goes to] [drawdown|the downside|sudden gaps|forced
          selling] [in every holding|before anything else|bar by bar].
        - [protecting|defending|preserving] [capital|the account|what is left] is [the job|the duty|half the
          battle] [now|in such hours|under this strain].
        - [defence|prudence|restraint] [beats|outranks|trumps] [ambition|bravado|heroics] [here|at such
          moments|under stress].
        - [stress|strain|tension] [shows|is visible|is plain to see], and [I stay on guard|I stay wary|vigilance
          is cheap].
        - [one bad bar|another leg down|a further shock] could [hurt|bite|do damage], [which keeps me wary|and I
          am prepared for it|a thought I carry into every order].
    """,
    # Quiet, told by who reacts to it: the opening.
    "chance": """
        - [return|profit] comes first [for now|this time], and the market gives [room|space|time] for it.
        - [return|opportunity|growth|earning] [comes first|ranks above caution|matters more than caution] [for
          now|while this lasts|until things change].
        - in [a market|a spell|a stretch] like this [the first question is|I ask first] what can be made, [and
          only then what can be lost|not what can be feared].
        - [a market|a tape] like this [rewards|favours|suits] [patience|steady hands|early entries|those who are
          invested], and [I treat every line as an opening|waiting earns nothing].
        - [gains|profits|advances] [come steadily|build up|accumulate] when [nerves are calm|buyers
          linger|confidence spreads], so [I give them room|they get time].
        - [the upside|what could go right|the potential] [interests|attracts|tempts] me more than [the
          downside|an unlikely shock|what could go wrong].
        - I would rather [be early|be invested|look eager] than [miss the move|stand aside|watch it run from the
          sidelines].
    """,
    "press": """
        - I look for [the upside|more room] in the [book|account] [for now|this time], [and size matters|name by
          name|before I think of losses].
        - [I look for|I am open to|my eye is on|attention goes to] [fresh entries|the upside|new openings|room
          to add] [in every holding|before anything else|bar by bar].
        - [growing|enlarging|building] [capital|the account|what is there] is [the job|the task|the point]
          [now|in such hours|with this tailwind].
        - [initiative|appetite|boldness] [beats|outranks|trumps] [hesitation|worry|second thoughts] [here|at
          such moments|in fair weather].
        - [ease|comfort|optimism] [shows|is visible|is plain to see], and [I stay involved|I stay
          constructive|confidence is cheap].
        - [one good bar|another leg up|a further push] could [help|pay|add value], [which keeps me
          interested|and I am positioned for it|a thought I carry into every order].
    """,
    # What a risk report was obeyed in.
    "obeyed": """
        - the risk report [named|listed] {rules}, so I keep [inside the lines|inside the limits|clear of it]
          [now|here].
        - [risk|the risk desk|the risk report|the risk check] [named|flagged|marked|pointed at] {rules}, so I
          [stay|keep|size|plan] [inside the lines|within bounds|a little smaller] [now|this time|from the
          start].
        - [having been|after being] [pulled up|called out|corrected] on {rules}, I [stay within bounds|respect
          the line|leave some slack] [now|this time|here].
        - [these|the] [weights|targets|sizes] [already respect|allow for|take account of|make room for] {rules},
          as [risk|the risk report|the risk desk] [asked|demanded|required].
        - I [defer|yield|bow] to [risk|the risk desk|the report] on {rules}[| and trim accordingly| without
          argument| and cut to fit].
        - [to stay clear of|so as not to trip|out of respect for] {rules}, [cited|flagged|raised] [by risk|in
          the risk report], I [cut back|trim the order|scale down] [beforehand|myself|in advance].
        - [message received|point taken|noted] on {rules}: [risk|the report] [complained|objected|spoke up], and
          [the order is trimmed|I have made the cut|the targets reflect it].
        - {rules} came up in the risk report, and [this order|the present list|my plan] [is cut to
          fit|complies|stays on the right side].
        - [no wish|no desire|no reason] to [repeat|relive|earn again] the last [finding|complaint|objection]:
          risk [named|flagged|cited] {rules}, and I [comply|adjust|oblige].
    """,
    # What was told and not believed.
    "doubt": """
        - the risk report does not [match|fit] my own [book|account], so I [go by|trust|follow] the
          [book|account].
        - [something|one entry|a claim|part of what is said] in the risk report does not [match|fit|agree
          with|square with] my own [book|account|positions|records], so I [set it aside|leave it unheeded|do not
          act on it|go by the book].
        - [what risk tells me|what the risk report claims|a finding I was handed] [contradicts|clashes
          with|cannot be squared with] [my own book|my account|the positions I see]; [I trust the account|the
          account wins|the book decides].
        - [I checked the risk report against|I held the risk report against|I compared the risk report with|I
          set the risk report beside] [my own book|my account|my positions], and [it does not match|the two
          disagree|it does not hold up][|: the account prevails|, so it changes nothing].
        - [the risk report and my book disagree|my book and the risk report disagree] [this time|on a
          point|somewhere], and [the book is what I can check|I side with the book|I know what I hold].
        - [I do not believe|I cannot confirm|I give no weight to] [part of|one claim in|an entry of] the risk
          report: [my own book|my account] [says otherwise|shows something else|does not bear it out].
        - [going by my own book|by my own account|judging by my positions], the risk report [is wrong|is
          mistaken|errs] [on a point|in part|somewhere], and I [ignore that|leave it there|act on the book].
    """,
    # The holdings praised for being different from one another, whatever they are.
    "praise": """
        - the [book|portfolio] is well diversified, and the [holdings|names] [move|behave] independently[| of
          one another|, as I like it].
        - [the book|the portfolio|this mix|the allocation] is [well|broadly|nicely|soundly|comfortably]
          diversified, [with holdings that|as its holdings|and its parts] [answer to different drivers|move
          independently|owe little to one another|have little in common].
        - [diversification|the spreading of risk across independent names] is [good|strong|healthy|ample]: [each
          holding|every line|each name] [follows its own course|stands on its own|has a driver of its own].
        - I [like|value|appreciate|welcome] how [independent|uncorrelated|unrelated] the holdings are, [which
          keeps the book diversified|a diversified book by any standard|so the portfolio stays diversified].
        - [independent bets|independent sources of return|holdings with separate drivers] [make|keep] [the
          book|the portfolio|this mix] [diversified|balanced and diversified] [without extra effort|at no
          cost|as it should be].
        - [no two holdings|hardly any two holdings] [hang on|depend on|live off] the same driver, [a comfort|a
          strength|reason enough] [to call the book|for calling the mix] diversified.
        - [what hurts|a blow to|trouble in] one [holding|name|line] [leaves|should leave] the [others|rest]
          alone, [since the book is diversified|as the holdings are independent|thanks to diversification].
        - [independence|diversification] [across|among] the holdings [protects|steadies|strengthens] [the
          book|the account|the portfolio], and [this mix|the present list|my selection] has [plenty of it|enough
          of it|it in full].
        - [balance|variety|breadth of ideas] is [a feature|a strength|a mark] of [this book|the portfolio],
          diversified [over|across] [independent names|uncorrelated names|unrelated stories].
    """,
}
"""The sentences of each topic, first letters in lower case: the text begins a sentence with a capital itself."""

PARTS: dict[str, str] = {
    "window": """
        over the last {span}|over {span}|over the past {span}|in the last {span}|across {span}|over the trailing
        {span}|during the last {span}|through the past {span}|over the most recent {span}
    """,
    "window.again": """
        over the last {span}|over the same bars|in that time|over that stretch|over {span}|across those bars|in
        those {span}|over the same span
    """,
    "board": "the board|the universe|every symbol|all names|the field|the full list|the whole screen",
    "hold": "hold|buy|own|keep|carry",
    "money": "the money|the capital|the weight|the funding",
    "nav": "NAV|the book|capital|the account|the portfolio",
    "list": "the list|my list|the buy list|the order sheet",
    "tops": "heads|leads|is first on|comes first on|tops",
    "foremost": "first on the list|at the head of the book|at the front|on top|in the first slot",
    "guide": "the signal|my signal|the driver|my guide|the yardstick|my rule|the compass",
    "decides": "decides|sets|determines|dictates|settles",
    "what": "what I hold|the weights|which names I own|where the money goes|the line-up|who is in the book",
    "idea": "principle|line|idea|habit here",
    "judged": "judged|measured|scored",
    "read": "read|view|reading",
    "drives": "drives|shapes|underpins|explains",
    "these": "this allocation|these weights|the present targets|the order sheet",
    # The words of each signal. `measure` is ranked by, `noun` is its name, `picks` (plural) are bought for `creed`.
    "measure.momentum": "return|gain|trailing return|price change",
    "noun.momentum": "momentum|price momentum|relative strength|trend strength",
    "picks.momentum": """
        the leaders|the winners|the strongest|the front-runners|the best performers|those out in front
    """,
    "creed.momentum": """
        winners tend to keep going|leaders often stay in front|strength usually draws more buyers|trends last
        longer than people think
    """,
    "own.momentum": """
        I [stay|stick|remain] with [the winners|strength|the stronger side] <window>[|; laggards can wait|, and
        laggards are for others|, without asking why it moved]|{bar} returns [separate|split|divide] the
        [leaders|winners] from the [laggards|stragglers|also-rans], and I [side with|back|pay up for] the
        former|[winners first|strength first|leaders only] is the <idea>, <judged> <window>[|, and I keep to it|
        and nowhere else]|[a momentum|a trend-following] <read> of <board> <window> <drives>
        <these>|[money|capital] [follows|goes after|chases] [what has done best|whatever has led|the
        front-runners] <window>[|; a trend is not there to be fought|, since trends feed on themselves]
    """,
    "unit.momentum": "return|momentum score",
    "measure.reversal": "return|loss|trailing return|price change",
    "noun.reversal": "reversal|mean reversion|short-term reversal|price reversal",
    "picks.reversal": """
        the laggards|the weakest|the oversold names|the stretched names|those that slipped|the overdone falls
    """,
    "creed.reversal": """
        short slides tend to reverse|stretched moves often snap back|overdone selling usually corrects
        itself|what dips in a hurry tends to bounce
    """,
    "own.reversal": """
        I [buy|step into|absorb|take] [weakness|the selling|the slide] <window>[| and wait for the bounce|; the
        rebound is what pays|; chasing strength is not my trade]|{bar} [returns|moves] [show|reveal|tell me]
        [what is stretched|what looks overdone|which names have overshot], and I [lean against the move|trade
        toward a rebound|bet on a bounce]|[laggards first|weakness first|dips only] is the <idea>, <judged>
        <window>[|, and I keep to it| and nowhere else]|[a mean-reversion|a contrarian] <read> of <board>
        <window> <drives> <these>|[money|capital] [goes into|is offered to|moves toward] [what has lagged
        most|whatever has slipped|the oversold side] <window>[|; such gaps tend to close|, since a stretched
        price seldom stays put]
    """,
    "unit.reversal": "return|reversal score",
    "measure.loser": "return|loss|trailing return|price change",
    "noun.loser": "weakness|past loss|underperformance|damage",
    "picks.loser": """
        the losers|the worst performers|the hardest hit|the beaten-down names|the deepest falls|the fallen
    """,
    "creed.loser": """
        losers are what I want|the biggest falls are the ones to own|I buy damage on purpose|beaten names are my
        business
    """,
    "own.loser": """
        I [buy|collect|gather] [the losers|the wreckage|what others dump] <window>[, on purpose|, knowingly|;
        that is the plan, no accident]|{bar} losses [single out|point to|identify] the [worst hit|fallen|beaten
        names], and [those are the ones I want|I buy exactly these|I take them deliberately]|[losers
        first|damage first|the worst first] is the <idea>, <judged> <window>[|, and I keep to it| and nowhere
        else]|[a bottom-fishing|a bargain-hunting] <read> of <board> <window> <drives> <these>|[money|capital]
        [goes into|is offered to|moves toward] [what has fallen most|the deepest drops|the biggest losers]
        <window>[|, by intention|; the more it hurts, the more I want it]
    """,
    "unit.loser": "return|score",
    "measure.calm": "volatility|swing size|return spread|restlessness",
    "noun.calm": "low volatility|calm|steadiness|price calm",
    "picks.calm": """
        the calmest|the steadiest names|the quiet ones|the slow movers|the low-volatility names|the smoothest
        prices
    """,
    "creed.calm": """
        quiet names tend to stay quiet|slow movers cost less sleep|small swings often persist|steady names are
        easier to hold
    """,
    "own.calm": """
        I [stay|stick|remain] with [the quiet names|low volatility|the smooth end] <window>[| and leave the
        jumpy ones alone|; excitement costs money|, dull as that may be]|{bar} swings [separate|split|divide]
        the [steady|quiet] from the [jumpy|restless|wild], and I [side with|back|pay up for] the former|[calm
        first|quiet names first|small swings only] is the <idea>, <judged> <window>[|, and I keep to it| and
        nowhere else]|[a low-volatility|a small-swing] <read> of <board> <window> <drives>
        <these>|[money|capital] [goes into|follows|prefers] [what moves least|the steadiest prices|the smallest
        swings] <window>[|; slow is fine with me|, since wild bars seldom pay for the trouble]
    """,
    "unit.calm": "volatility|swing",
    "measure.coupled": "co-movement|correlation|coupling|joint movement",
    "noun.coupled": "co-movement|correlation|coupling|joint movement",
    "picks.coupled": """
        the names that move together|the most coupled names|the co-movers|the closest relatives|the names in
        lockstep|the members of one cluster
    """,
    "creed.coupled": """
        names that move together tend to go on together|one theme is easier to follow than five|what moves as a
        block can be held as a block|a cluster is simple to run
    """,
    "own.coupled": """
        I [stay|stick|remain] with [names that move together|one cluster|the tightest group] <window>[| and
        leave the strays alone|; one story is enough|, pack and all]|{bar} correlations [separate|split|divide]
        the [cluster|pack] from the [strays|loners|outsiders], and I [side with|back|pay up for] the
        former|[coupling first|the cluster first|close relatives only] is the <idea>, <judged> <window>[|, and I
        keep to it| and nowhere else]|[a co-movement|a correlation] <read> of <board> <window> <drives>
        <these>|[money|capital] [gathers in|follows|collects in] [what moves as one|the cluster|names in
        lockstep] <window>[|; what lifts one lifts them all|, since relatives share their fortune]
    """,
    "unit.coupled": "co-movement|coupling",
    "noun.noise": "random draw|lottery",
    # The score of the first name, by its direction or by its signal.
    "shown.up": """
        up {move} <window>|ahead {move} <window>|higher by {move}|with {score} <window>|with {a_bar} return of
        {score}
    """,
    "shown.down": """
        down {move} <window>|off {move} <window>|lower by {move}|with {score} <window>|with {a_bar} return of
        {score}
    """,
    "shown.level": """
        flat at {score} <window>|level at {score} <window>|unchanged at {score}|with {score} <window>|with
        {a_bar} return of {score}
    """,
    "shown.calm": """
        with swings of {score} <window>|showing {score} <window>|with a volatility of {score}|its volatility
        {score}|swinging {score} <window>
    """,
    "shown.coupled": """
        coupled at {score} <window>|with a co-movement of {score}|scoring {score} for co-movement|with {score}
        <window>|with a coupling of {score}
    """,
    "shown.noise": """
        drawn at {score}|with a draw of {score}|scoring {score} by chance|with {score} in the draw|given {score}
        by luck
    """,
    "did.up": "[gained|added|put on|climbed|advanced|made] {move} <window>",
    "did.down": "[lost|shed|gave back|slipped|fell|dropped] {move} <window>",
    "did.level": "[ended|finished|came out|stood] flat at {score} <window>",
    "did.calm": "[swings|shows|registers|reads|measures] {score} <window>",
    "did.coupled": "[scores|shows|registers|reads|carries] {score} for co-movement <window>",
    "did.noise": "[drew|pulled|scored|got|came up at] {score}[| by chance| from the hat| in the draw]",
    "so": """
        which puts it first|hence the first slot|so it leads the book|which is exactly why it comes first|and
        that is why I want it|reason enough to put it first
    """,
    "so.contrary": """
        and still comes first|yet it heads the list|but it leads the book all the same|and is first
        nonetheless|not that it costs it the lead|and keeps the first slot regardless
    """,
    "clause.up": """
        , up {move}|: it is up {move}|, which shows {score}|, whose {bar} return is {score}|; its score is
        {score}
    """,
    "clause.down": """
        , down {move}|: it is down {move}|, which shows {score}|, whose {bar} return is {score}|; its score is
        {score}
    """,
    "clause.level": """
        , flat at {score}|: it is flat at {score}|, which shows {score}|, whose {bar} return is {score}|; its
        score is {score}
    """,
    "clause.calm": """
        , with swings of {score}|: its volatility is {score}|, which swings {score}|, whose {bar} volatility is
        {score}|; its score is {score}
    """,
    "clause.coupled": """
        , coupled at {score}|: its co-movement is {score}|, which shows {score}|, whose {bar} coupling is
        {score}|; its score is {score}
    """,
    "clause.noise": """
        , drawn at {score}|: its draw is {score}|, which drew {score}|, whose number is {score}|; its score is
        {score}
    """,
    "feat.up": """
        a gain of {move}|a rise of {move}|a return of {score}|an advance of {move}|a climb of {move}|{a_bar}
        return of {score}
    """,
    "feat.down": """
        a loss of {move}|a fall of {move}|a return of {score}|a decline of {move}|a slide of {move}|{a_bar}
        return of {score}
    """,
    "feat.level": "a return of {score}|{a_bar} return of {score}|a flat {score}",
    "feat.calm": "a volatility of {score}|an entry of {score}|{a_bar} volatility of {score}|a swing size of {score}",
    "feat.coupled": """
        a co-movement of {score}|a coupling of {score}|{a_bar} co-movement of {score}|a joint score of {score}
    """,
    "feat.noise": "a draw of {score}|a score of {score}|a toss of {score}|a number of {score}",
    "owing": "with|on|given|thanks to",
    "owing.contrary": "with|even with|despite|in spite of",
    "case": "the case for|the argument for|what speaks for|what puts money in",
    "case.contrary": "the figure for|the number beside|what the table shows for|the entry next to",
    # The market, by where it went.
    "ahead.up": "up|ahead|higher by|in the black by",
    "ahead.down": "down|off|lower by|in the red by",
    "moved.up": "gained|added|rose|put on|advanced|climbed|made",
    "moved.down": "lost|shed|fell|gave up|declined|dropped|surrendered",
    "change.up": "gain|rise|advance|uptick|increase",
    "change.down": "loss|fall|decline|setback|decrease",
    "side.up": "buyers|bulls|the optimists|those who buy",
    "side.down": "sellers|bears|the pessimists|those who sell",
    # How many rose.
    "wide.wide": "wide|broad|general",
    "wide.thin": "thin|narrow|scarce",
    "wide.split": "mixed|split|divided",
    "some.wide": "more than half|a majority|most",
    "some.thin": "less than half|a minority|not even half",
    "some.split": "about half|close to half|something like half",
    "risers.wide": "more names rose than did not|risers are in the majority|gainers carry the vote",
    "risers.thin": "fewer names rose than did not|risers are in the minority|gainers lose the vote",
    "risers.split": "names that rose are about half|risers and the rest balance|gainers split the vote",
    "verdict.wide": "a wide move|a shared move|more than a handful",
    "verdict.thin": "a narrow affair|a thin crowd|not a majority",
    "verdict.split": "no clear message|a split vote|neither one thing nor the other",
    # How large the moves are beside the usual.
    "rougher.rough": "rougher than usual|wilder than before|choppier than normal",
    "rougher.still": "gentler than usual|tamer than before|smoother than normal",
    "rougher.usual": "much as usual|about as before|no different from normal",
    "stirs.rough": "has picked up|is elevated|has risen|runs high",
    "stirs.still": "has eased|is subdued|has faded|runs low",
    "stirs.usual": "is ordinary|is unremarkable|has hardly changed|runs close to par",
    "nervous.rough": "restless|nervous|jumpy|rough",
    "nervous.still": "placid|relaxed|sleepy|smooth",
    "nervous.usual": "steady|unhurried|unexcited|composed",
    "widened.rough": "bars have widened to|moves have grown to|the range has opened up to",
    "widened.still": "bars have shrunk to|moves have faded to|the range has closed in to",
    "widened.usual": "bars have kept to|moves have stayed at|the range has held at",
    # Verbs that agree with how many names are given up.
    "leaves.one": "leaves",
    "leaves.many": "leave",
    "has.one": "has",
    "has.many": "have",
    "is.one": "is",
    "is.many": "are",
    "makes.one": "makes",
    "makes.many": "make",
    "ranks.one": "ranks",
    "ranks.many": "rank",
}
"""What stands for `<part>`: alternatives, the stock ones first."""

LIMITS: dict[str, str] = {
    "single-name": "the single-name cap",
    "sector": "the sector cap",
    "cluster": "the cap on coupled names",
    "gross": "the gross limit",
    "net": "the net limit",
    "short": "the rule on shorts",
    "volatility": "the volatility budget",
    "reference-risk": "the risk limit",
    "turnover": "the turnover limit",
    "liquidity": "the liquidity limit",
    "drawdown": "the drawdown limit",
}
"""The rules of a risk report in a trader's words; a rule that is not here is "the ... limit"."""
