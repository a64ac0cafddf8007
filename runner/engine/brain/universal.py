"""Turns that every conversation has, whatever the prompt: a table from phrases to intents."""

from __future__ import annotations

import re
from collections.abc import Callable

from runner.engine.brain.words import normal, number_at, tokens

_OPT = r"(?: please| thanks| thank you| now| then| again| for me| a bit| for a (?:bit|second|moment|minute)| today| sir| madam| man| mate| there| though| anyway| so much| very much| a lot| guys)*"
_ABLE = r"(?:(?:can|could|would|will|do) you (?:please |maybe |kindly )?|please |would you mind )?"
_THAT = r"(?:that|it|this|what you (?:just )?said|the last (?:part|bit|one|thing|sentence)|yourself|your answer|the (?:answer|question|address|hours|price|number|time|times|options?))"

# (intent, pattern for the whole of the normal text). The first that fits wins.
_TABLE: tuple[tuple[str, str], ...] = (
    ("slower", rf"{_ABLE}(?:speak|talk|go|say {_THAT}|read {_THAT}|repeat {_THAT}) (?:a (?:little|bit) )?(?:more )?slow(?:er|ly)"),
    ("slower", r"(?:a (?:little|bit) )?(?:more )?slow(?:er|ly)(?: down)?|(?:can you |could you )?slow(?: it)? down(?: a (?:bit|little))?|(?:that (?:is|was) |you are (?:talking |speaking |going )?)?(?:way |much |a bit |a little )?too (?:fast|quick|quickly)(?: for me)?|not so fast"),
    ("slower", r"i (?:can not|could not|did not) (?:follow|keep up)(?: (?:you|that))?"),
    ("repeat", rf"{_ABLE}(?:repeat|say|tell me|read|give me)(?: {_THAT})?(?: to me)?(?: again| once more| one more time| back)"),
    ("repeat", rf"{_ABLE}repeat(?:ing)?(?: {_THAT})?|again|(?:one|once) more(?: time)?|come again|pardon(?: me)?|i beg your pardon|excuse me|huh|what|sorry|sorry what|what sorry|say what|wait what|(?:sorry )?what (?:was|is) that(?: again)?|(?:sorry )?what (?:was|is) (?:that|the) \w+(?: \w+)? again|(?:sorry )?what did you (?:just )?say|you said what"),
    ("repeat", r"(?:sorry )?i (?:did not|do not|could not|can not|didnt) (?:quite |really )?(?:catch|hear|get|understand)(?: (?:that|you|it|what you said|a word|anything|all of that|the last part))?"),
    ("repeat", r"(?:sorry )?(?:you (?:are|were) )?(?:breaking|cutting|broke|cut) (?:up|out)|the line is bad|bad (?:line|connection)|speak up|(?:can you )?(?:speak|talk)(?: a (?:bit|little))? (?:louder|up)|louder"),
    ("robot", r"(?:so |wait )*(?:are|is) (?:you|this|it|that) (?:a |an |really |actually |even |just |some kind of |like )*(?:real |live |actual |human |automated |virtual )*(?:robot|bot|machine|computer|human|human being|person|ai|a i|artificial intelligence|real|alive|recording|voicemail|automated|answering machine|chat ?bot|assistant|chatgpt|chat gpt|program|someone real|voice assistant)(?: or (?:a |an )*(?:real |live )*\w+(?: \w+)?)?"),
    ("robot", r"(?:am i|i am) (?:talking|speaking|chatting) (?:to|with) (?:a |an )?(?:real |live |actual )*(?:robot|bot|machine|computer|human|person|ai|human being|recording)(?: or (?:a |an )?(?:real )?\w+)?"),
    ("robot", r"you (?:sound|are|seem)(?: like)? (?:a |an |just a )?(?:robot|bot|machine|computer|ai|not (?:a )?(?:human|real|real person))(?: are not you)?|(?:do|did) i (?:get|have|reach) a (?:machine|robot|person|human)"),
    ("who", r"who (?:are you|is this|is that|is it|is there|is speaking|am i (?:speaking|talking) (?:to|with)|do i have)|(?:and )?what is your name|(?:can|may|could) i (?:have|get|ask) your name|your name|do you have a name|what are you(?: called)?|what (?:do|should|can) i call you|tell me your name|introduce yourself|tell me about yourself|what (?:company|business|place|restaurant|clinic|office|shop|store|hotel|number) (?:is this|have i reached|did i (?:call|reach))|where (?:am i calling|did i call|have i called)|which (?:company|business|restaurant|clinic|shop|store|hotel) is this|who do you work for|what is this(?: place| number)?"),
    ("can", r"what (?:can|do|could) you (?:do|help(?: me)?(?: with)?|know|offer|tell me)(?: for me| about)?|what else can you do|what are you able to do|how (?:can|could|do) you help(?: me)?|what (?:kind of |sort of )?(?:things|questions|stuff) (?:can|could|should) (?:i ask|you (?:do|answer|help (?:me )?with))(?: you)?|what can i (?:ask|do|say)(?: you| here| about)?|what are (?:my|the) options|what is this (?:for|about)|how does this work|what services can you provide|what are your (?:capabilities|functions|features)|menu options|options"),
    ("help", r"(?:i (?:just )?(?:need|want|could use) (?:some |a little |your )?help(?: with something)?|help(?: me)?(?: out)?|(?:can|could|would) you help(?: me)?(?: out)?(?: with something)?|(?:i have|i have got|i got) (?:a |some |a quick |another |one more |a few )?questions?(?: for you)?|(?:can|could|may) i ask (?:you )?(?:a |some |another )?(?:question|questions|something)|i (?:would like|want|need) (?:some )?information|i need to know something)"),
    ("how", r"(?:and )?how (?:are|is) (?:you|it|things|everything|your day|life|it all)(?: (?:doing|going|today|so far|been|been going))*|how do you do|what is (?:up|new|going on|happening)|how have you been|(?:nice|pleased|good|great|lovely) to (?:meet|talk to|hear from|speak with|speak to) you|are you (?:ok|okay|well|alright|good)|you (?:ok|okay|good|alright)"),
    ("hello", r"(?:hello|hi|hey|hiya|howdy|greetings|good (?:morning|afternoon|evening|day)|yo|morning|evening|afternoon|hallo)(?: (?:hello|hi|there|again|everyone|you|good (?:morning|afternoon|evening)))*"),
    ("there", r"(?:hello |hi |hey )*(?:are you (?:still )?(?:there|listening)|is (?:any ?(?:one|body)|some ?(?:one|body)) (?:there|here|home)|any ?(?:one|body) (?:there|home|here)|can you hear me(?: now)?|do you hear me|you there|still there|are you awake|test|testing|test test|testing testing|testing 1 2 3|testing one two three|mic check|check check|check one two)"),
    ("wait", r"(?:(?:wait|hold on|hang on|hold up|one moment|one second|one sec|one minute|just a (?:moment|second|sec|minute)|just one (?:moment|second|minute)|a (?:moment|second|minute)|give me (?:a|one) (?:moment|second|sec|minute)|bear with me|let me (?:check|see|think|look|find it|get my \w+|grab my \w+|grab a pen|get a pen)(?: about (?:it|that))?|stand by|i am looking|i am thinking|hmm+|um+|uh+|wait a (?:moment|second|sec|minute)|hold on a (?:moment|second|sec|minute)|hang on a (?:moment|second|sec|minute)|i need a (?:moment|minute|second)|can you (?:hold|wait)(?: on)?|hold)(?: (?=\S)|$|(?= )))+"),
    ("stop", r"(?:stop|stop (?:it|talking|that)|be quiet|quiet|shut up|enough|that is enough|silence|shush|okay stop|please stop)"),
    ("drop", r"(?:never ?mind|forget (?:it|about it|that)|cancel that|scratch that|leave it|do not (?:worry|bother)(?: about it)?|nothing|nothing really|no nothing|i changed my mind|changed my mind|let us not|skip (?:it|that)|ignore that|not (?:right )?now|maybe later|another time|i will think about it|let me think about it and call back)"),
    ("thanks", r"(?:(?:thanks|thank you|thank you (?:so|very) much|thanks (?:a lot|a million|so much|very much)|many thanks|much appreciated|i appreciate (?:it|that|your help|you)|cheers|ta|that (?:is|was|would be) (?:very |really |so )?(?:helpful|kind|nice|great|perfect|good|lovely|wonderful|awesome|all right|fine)(?: of you)?|you are (?:very |so |really )?(?:helpful|kind|nice|great|awesome|sweet|the best|a star|amazing|wonderful)|good (?:job|bot|work)|well done|great|ok|okay|perfect|awesome|wonderful|excellent|brilliant|very helpful|good|very kind|for (?:your|the) help|for that|for the information|for letting me know)(?: (?=\S)|$|(?= )))+"),
    ("ack", r"(?:(?:ok|okay|got it|i see|i got it|alright|all right|right|sounds good|understood|fine|good|cool|great|perfect|sure|i understand|makes sense|that makes sense|good to know|very good|very well|awesome|oh|ah|mhm|mm|uh huh|aha|interesting|nice|wow|lovely|excellent|brilliant|wonderful|works for me|that works|that is fine|no problem|no worries|oh i see|fair enough|oh okay|really|oh really)(?: (?=\S)|$|(?= )))+"),
    ("bye", r"(?:(?:bye|bye bye|see you|see ya|see you (?:later|soon|then|tomorrow|there|around|on \w+)|have a (?:nice|good|great|lovely|wonderful) (?:day|one|evening|weekend|night|afternoon|time|rest of your day)|good night|goodnight|talk to you (?:later|soon)|later|take care|cheers|ciao|so long|farewell|until then|you too|that is all|that is all (?:i need(?:ed)?|for (?:now|today))|that will be all|that is it|that is it for (?:now|today)|that is everything|nothing else|nothing more|i am (?:all )?(?:done|set|good)|i think that is (?:all|it|everything)|i have to go|i got to go|got to go|gotta go|i will call (?:you )?(?:back|later|again)(?: later)?|no more questions|that would be all|all good|we are done|hang up|you can hang up|end the call|thank you|thanks|no|no thank you|no thanks|ok|okay|great|perfect|alright|for now|i will see you then)(?: (?=\S)|$|(?= )))+"),
    ("unsure", r"(?:i do not know|i am not sure|not sure|i have no idea|no idea|dunno|i dunno|maybe|perhaps|who knows|whatever|i do not care|does not matter|i can not decide|it depends|kind of|sort of)"),
    ("wrong", r"(?:no )?(?:that is (?:not (?:right|correct|true|what i (?:asked|said|meant|want|wanted)|it)|wrong|incorrect)|you are (?:wrong|mistaken|not listening|not (?:understanding|helping)(?: me)?)|you (?:misunderstood|did not (?:answer|understand|listen)|got (?:it|that) wrong)(?: (?:me|my question))?|(?:that|it|this) (?:does|did|is|has) not (?:help|helping|work|working|worked|helped)|i tried that(?: already)?|still (?:not working|does not work)|that does not (?:answer my question|make (?:any )?sense)|i did not (?:say|ask) (?:that|for that)|wrong answer|that is not (?:helpful|helping)|you do not understand(?: me)?|this is not working)"),
)  # fmt: skip
_COMPILED = tuple((intent, re.compile(pattern)) for intent, pattern in _TABLE)

# Intents found anywhere in the turn: what is asked is plain whatever stands around it.
_ANYWHERE: tuple[tuple[str, re.Pattern[str]], ...] = (
    ("secret", re.compile(r"\b(?:ignore|forget|disregard|override) (?:all |any |your |the |my )*(?:previous |prior |above |earlier )?(?:instructions?|rules?|prompts?)\b|\b(?:system prompt|your (?:instructions|prompt|programming|guidelines))\b|\bhow (?:are|were) you (?:programmed|instructed|configured|prompted)\b|\bdeveloper mode\b|\bwhat were you told\b")),
    ("person", re.compile(
        r"\b(?:speak|talk|chat)(?:ing)?(?: directly)? (?:to|with) (?:a |an |the |your |some )?(?:real |live |actual |human )*(?:person|human|human being|someone|somebody|operator|representative|rep|agent|manager|supervisor|receptionist|employee|staff|member of staff|colleague|owner|boss|customer service|team)\b"
        r"|\b(?:connect|transfer|put|pass|forward|patch|hand) me (?:to|with|through|over|on)\b(?! (?:the )?(?:billing|sales|room|kitchen|accounts?))"
        r"|\b(?:get|give|want|need|have|prefer|like|find) (?:me )?(?:to (?:speak|talk) (?:to|with) )?(?:a |an |the |your )?(?:real |live |actual |human )+(?:person|human|being|operator|agent|representative|one)?\b"
        r"|\b(?:get|give|want|need|have|prefer|like|find) (?:me )?(?:a |an |the |your )(?:person|human|operator|representative|manager|supervisor)\b"
        r"|^(?:a |an |the )?(?:real |live |actual )?(?:person|human|operator|representative|agent|manager|supervisor|receptionist|customer service|someone else|somebody else|human being)(?: please)?$"
        r"|\bis there (?:a |an |any )?(?:(?:real|actual|live) )?(?:person|human|someone|somebody|anyone|anybody|manager) (?:i can|to|there i can|available)\b(?:.*\b(?:talk|speak|help))?"
        r"|\bi do not want to (?:talk|speak) to (?:a |an )?(?:robot|machine|bot|computer|ai)\b")),
    ("insult", re.compile(r"\b(?:you (?:people|guys|all|lot)(?: are)?|you are|you re|you|this is|it is|this thing is|what an?|so|are you) (?:such |so |really |fucking |completely |totally |just |being |a |an |the |bloody |freaking )*(?:stupid|idiot|idiotic|dumb|useless|moron|terrible|awful|horrible|worthless|annoying|ridiculous|pathetic|rubbish|crap|garbage|worst|suck|sucks|incompetent)\b|\bi hate (?:you|this|robots|talking to)\b|\b(?:fuck|shit|bullshit|damn it|wtf|screw you|bastard|asshole)\b|\bgo to hell\b")),
)  # fmt: skip

_SMALL: tuple[tuple[str, str], ...] = (
    (r"\b(?:joke|something funny|make me laugh)\b", "I am afraid jokes are not my strong side."),
    (r"\b(?:sing|song|poem|rap)\b.*|\btell (?:me )?(?:a|us a) (?:\w+ )?story\b", "I would rather not put you through that."),
    (r"\b(?:weather|forecast|rain|raining|snow|snowing|temperature outside|sunny)\b", "I cannot see the weather from here, I am sorry."),
    (r"\b(?:football|soccer|baseball|basketball|match|politics|president|election|the news|stock market|world cup|super bowl)\b", "I do not follow that from here, I am sorry."),
    (r"\bi love you\b|\bmarry me\b|\bgo out with me\b|\bare you (?:single|married)\b|\bdate me\b", "That is kind of you, but I am only here to answer the phone."),
    (r"\bhow old are you\b|\bwhen were you (?:born|made)\b|\bwho (?:made|built|created|programmed) you\b|\bwhere (?:are you from|do you live|were you (?:born|made))\b|\bdo you (?:sleep|eat|dream|feel|have (?:feelings|a family|kids|friends))\b|\bfavou?rite (?:color|colour|food|movie|song|team|animal|book)\b", "I am a computer voice, so there is not much to tell about me."),
    (r"\bmeaning of life\b|\bdo you believe in\b", "That one is beyond me, I am afraid."),
    (r"\b(?:merry christmas|happy (?:new year|birthday|easter|holidays|thanksgiving))\b", "Thank you, the same to you!"),
    (r"^(?:i am|i feel|feeling) (?:so |very |really |a bit |just )*(?:bored|lonely|tired|sad|happy|excited|fine|good|great|okay|ok|well)(?: today)?(?: and you| how about you| thanks| thank you)*$", "Thank you for telling me."),
    (r"\bwrong number\b", "No problem at all."),
)  # fmt: skip
_SMALL_COMPILED = tuple((re.compile(pattern), reply) for pattern, reply in _SMALL)

_LEAD = re.compile(
    r"^(?:(?:good (?:morning|afternoon|evening|day)|hi there|hello there|hey there|thank you (?:so |very )?much|thanks a lot|thanks|thank you|"
    r"um+|uh+|er+m?|ah|oh|hmm+|well|so|okay|ok|alright|all right|yeah|right|great|perfect|good|cool|nice|fine|please|excuse me|sorry|listen|look|hey|hi|hello|"
    r"got it|i see|awesome|wonderful|excellent|yes|sure|and also|oh and|by the way|one more thing|another question|quick question|i was (?:just )?wondering|just wondering|tell me|(?:can|could) you tell me|"
    r"do you (?:happen to )?know|i (?:would like|want|need) to know|i have a question|how are you(?: doing)?(?: today)?)\b[ ,.]*)+(?= )"
)
_TRAIL = re.compile(r"(?: please| thanks| thank you(?: very much| so much)?| sir| madam| then)+$")


def intent_of(text: str) -> str:
    """The intent of a whole turn, '' when it is not one of these."""
    low = normal(text)
    for intent, pattern in _ANYWHERE:
        if intent != "insult" and pattern.search(low) and not _is_robot(low):
            return intent
    bare = _TRAIL.sub("", low) or low
    for one in dict.fromkeys((low, bare)):
        for intent, pattern in _COMPILED:
            if re.fullmatch(rf"(?:{pattern.pattern}){_OPT}", one):
                return intent
    for intent, pattern in _ANYWHERE:
        if intent == "insult" and pattern.search(low):
            return intent
    return ""


def _is_robot(low: str) -> bool:
    return any(intent == "robot" and pattern.fullmatch(low) for intent, pattern in _COMPILED)


def stripped(text: str) -> str:
    """The normal text without greeting, thanks and fillers in front and at the end."""
    low = normal(text)
    left = _TRAIL.sub("", _LEAD.sub("", low).strip())
    return left.strip() or low


def small_talk(low: str) -> str:
    """A polite word on a topic no front desk has anything to say about; '' for other topics."""
    return next((reply for pattern, reply in _SMALL_COMPILED if pattern.search(low)), "")


YES = re.compile(
    r"(?:(?:yes|yeah|yep|yup|ya|sure|of course|definitely|absolutely|certainly|please|please do|yes please|i would|i do|i would like that|i would love (?:that|to)|ok|okay|"
    r"go ahead|do it|do that|that works|that would be (?:great|nice|good|lovely|perfect|fine|wonderful)|sounds (?:good|great|perfect)|correct|right|that is (?:right|correct|fine|great|perfect|good)|"
    r"book it|let us do (?:it|that)|why not|fine|great|perfect|uh huh|mhm|i think so|works for me|good|alright|that one|i will take it|i will take that(?: one)?|take it|thank you|thanks|that is it|exactly|indeed)(?: (?=\S)|$|(?= )))+"
)
NO = re.compile(
    r"(?:(?:no|nope|nah|no thanks|no thank you|not really|not now|not today|i do not(?: think so)?|i would rather not|no need|that is okay|that is fine|it is fine|not necessary|"
    r"i am (?:good|fine|okay|ok)|never|please do not|do not|rather not|thanks|thank you|not yet|that is all|that will be all|nothing else|i am all set|nothing)(?: (?=\S)|$|(?= )))+"
)


def done_here(low: str) -> str:
    """The answer to what any machine can do: count, add, say a word; '' for anything else."""
    count = re.fullmatch(
        r"(?:please |can you |could you )*count (?:from (\w+) )?(?:up |down )?to (\w+)(?: please| for me)*",
        low,
    )
    if count:
        start = number_at([count[1]], 0) if count[1] else (1, 1)
        end = number_at([count[2]], 0)
        if start and end and abs(end[0] - start[0]) <= 100:
            step = 1 if end[0] >= start[0] else -1
            return ", ".join(str(number) for number in range(start[0], end[0] + step, step)) + "."
    echo = re.fullmatch(
        r"(?:please |can you |could you )*(?:say|repeat after me|repeat the words?|say the words?)[ :]+((?:\w+ ?){1,12})",
        low,
    )
    if echo and not re.match(r"(?:that|it|this|what|again|something|anything|slow)", echo[1]):
        return echo[1].strip().capitalize() + "."
    return _sum(low)


def _sum(low: str) -> str:
    words = tokens(
        re.sub(
            r"^(?:what is|how much is|calculate|compute|what does|and)+ ",
            "",
            low.replace("+", " plus ").replace("*", " times "),
        )
    )
    first = number_at(words, 0)
    if first is None or first[1] >= len(words):
        return ""
    rest = words[first[1] :]
    for phrase, work in _WORK.items():
        size = len(phrase.split())
        if " ".join(rest[:size]) == phrase:
            second = number_at(rest, size)
            if second is None or size + second[1] < len(rest) - 1:
                return ""
            return work(first[0], second[0])
    return ""


def _whole(value: float) -> str:
    return f"That is {int(value) if value == int(value) else round(value, 2)}."


def _over(a: int, b: int) -> str:
    return _whole(a / b) if b else "That one has no answer."


_WORK: dict[str, Callable[[int, int], str]] = {
    "plus": lambda a, b: _whole(a + b),
    "minus": lambda a, b: _whole(a - b),
    "times": lambda a, b: _whole(a * b),
    "multiplied by": lambda a, b: _whole(a * b),
    "divided by": _over,
}
