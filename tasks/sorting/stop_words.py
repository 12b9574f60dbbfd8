"""English words that say nothing of a matter (`STOP_WORDS`), and further ones that make no name of a topic (`SMALL_TALK`).

Plain words, as `tokens.plain` leaves them. Other languages need no list: words that most texts have weigh little anyway.
"""

from __future__ import annotations

from tasks.sorting.tokens import plain

_SAY_NOTHING = """
a about above after again against all almost alone along already also although always am among an and another any anybody
anyone anything anyway are aren around as at be became because become been before behind being below beside besides between
beyond both but by can cannot cant could couldn did didn do does doesn doing don done down during each either else
enough etc even ever every everybody everyone everything everywhere except few for former from further get give go
goes going got had hadn has hasn have haven having he hence her here hers herself him himself his hi how however i if in
indeed into is isn it itself its just last least less let lot made make many may maybe me meanwhile might mine more moreover
most mostly much must my myself neither never next no nobody none nor not nothing now nowhere of off often on once one only
onto or other otherwise our ourselves out over own per perhaps please put quite rather re really same say see seem
several she should shouldn since so some somebody someone something sometime somewhere still such than that the their them
themselves then there therefore these they this those though through thus to together too toward under
until up upon us was use used using very via was wasn we well were weren what whatever when whenever where whereas wherever
whether which while who whoever whole whom whose why will with within without won would wouldn yet you your yourself ll ve
"""
_NAME_NOTHING = """
able absolute advance advise afternoon ago allow appreciate answer ask asked asking assist assistance away bad begin best better
bit bring call came care case check cheer clear come common concern consider could couple curious current day dear detail
different easy end entire evening exact example expect explain fact far feel felt figure find fine first five follow found four
friend full fully glad gonna good gotten great guess guy happen happy hard haven hear heard hello help helpful hey hope hour idea
immediate important inquiry issue keep kept kind kindly know known later learn leave left like little long longer look looked
looking love main matter mean mention minute moment month morning nd need needed new nice normal note number okay old
open option part particular past patience people person piece place point possible prefer pretty problem
proper provide quick quickly quite reach read ready reason recent receive received regard related reply resolve respond response
rest right said saw second seem sent set several share short show simple situation small soon sorry sort specific start
started step stop stuff suggest support sure take taken talk team tell ten thank thanks thing think third thought three time
today told tomorrow took tried trouble try trying turn two type understand unfortunately update urgent useful usual want wanted
wanting way week weekend wish wonder wondering work worked working worry writing written wrong wrote year yes yesterday
monday tuesday wednesday thursday friday saturday sunday january february march april june july august september october november
december today tonight everyday daily weekly monthly nearly anymore instead actually simply basically currently apparently especially
also again already lately recently however twice once first
"""

STOP_WORDS = frozenset(plain(word) for word in _SAY_NOTHING.split())
SMALL_TALK = frozenset(plain(word) for word in _NAME_NOTHING.split())
