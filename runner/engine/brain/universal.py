"""Turns that every conversation has, whatever the prompt: a table from phrases to intents."""

from __future__ import annotations

import re

from runner.engine.brain.words import normal

_OPT = (
    r"(?: please| thanks| thank you| now| then| again| for me| a bit| for a (?:bit|second|"
    r"moment|minute)| today| sir| madam| man| mate| there| though| anyway| so much|"
    r" very much| a lot| guys)*"
)
_ABLE = r"(?:(?:can|could|would|will|do) you (?:please |maybe |kindly )?|please |would you mind )?"
_THAT = (
    r"(?:that|it|this|what you (?:just )?said|the last (?:part|bit|one|thing|sentence)|"
    r"yourself|your answer|the (?:answer|question|address|hours|price|number|time|times|"
    r"options?))"
)

# (intent, pattern for the whole of the normal text). The first that fits wins.
_TABLE: tuple[tuple[str, str], ...] = (
    (
        "slower",
        rf"{_ABLE}(?:speak|talk|go|say {_THAT}|read {_THAT}|repeat {_THAT}) (?:a (?:little|"
        rf"bit) )?(?:more )?slow(?:er|ly)",
    ),
    (
        "slower",
        r"(?:a (?:little|bit) )?(?:more )?slow(?:er|ly)(?: down)?|(?:can you |"
        r"could you )?slow(?: it)? down(?: a (?:bit|little))?|(?:that (?:is|was) |"
        r"you are (?:talking |speaking |going )?)?(?:way |much |a bit |a little )?too (?:fast|"
        r"quick|quickly)(?: for me)?|not so fast",
    ),
    ("slower", r"i (?:can not|could not|did not) (?:follow|keep up)(?: (?:you|that))?"),
    (
        "repeat",
        rf"{_ABLE}(?:repeat|say|tell me|read|give me)(?: {_THAT})?(?: to me)?(?: again|"
        rf" once more| one more time| back)",
    ),
    (
        "repeat",
        rf"{_ABLE}repeat(?:ing)?(?: {_THAT})?|again|(?:one|once) more(?: time)?|come again|"
        rf"pardon(?: me)?|i beg your pardon|excuse me|huh|what|sorry|sorry what|what sorry|"
        rf"say what|wait what|(?:sorry )?what (?:was|is) that(?: again)?|"
        rf"(?:sorry )?what (?:was|is) (?:that|the) \w+(?: \w+)? again|"
        rf"(?:sorry )?what did you (?:just )?say|you said what",
    ),
    (
        "repeat",
        r"(?:sorry )?i (?:did not|do not|could not|can not|didnt) (?:quite |really )?(?:catch|"
        r"hear|get|understand)(?: (?:that|you|it|what you said|a word|anything|all of that|"
        r"the last part))?",
    ),
    (
        "repeat",
        r"(?:sorry )?(?:you (?:are|were) )?(?:breaking|cutting|broke|cut) (?:up|out)|"
        r"the line is bad|bad (?:line|connection)|speak up|(?:can you )?(?:speak|"
        r"talk)(?: a (?:bit|little))? (?:louder|up)|louder",
    ),
    (
        "robot",
        r"(?:so |wait )*(?:are|is) (?:you|this|it|that) (?:a |an |really |actually |even |"
        r"just |some kind of |like )*(?:real |live |actual |human |automated |"
        r"virtual )*(?:robot|bot|machine|computer|human|human being|person|ai|a i|"
        r"artificial intelligence|real|alive|recording|voicemail|automated|answering machine|"
        r"chat ?bot|assistant|chatgpt|chat gpt|program|someone real|"
        r"voice assistant)(?: or (?:a |an )*(?:real |live )*\w+(?: \w+)?)?",
    ),
    (
        "robot",
        r"(?:am i|i am) (?:talking|speaking|chatting) (?:to|with) (?:a |an )?(?:real |live |"
        r"actual )*(?:robot|bot|machine|computer|human|person|ai|human being|"
        r"recording)(?: or (?:a |an )?(?:real )?\w+)?",
    ),
    (
        "robot",
        r"you (?:sound|are|seem)(?: like)? (?:a |an |just a )?(?:robot|bot|machine|computer|"
        r"ai|not (?:a )?(?:human|real|real person))(?: are not you)?|(?:do|did) i (?:get|have|"
        r"reach) a (?:machine|robot|person|human)",
    ),
    (
        "who",
        r"who (?:are you|is this|is that|is it|is there|is speaking|am i (?:speaking|"
        r"talking) (?:to|with)|do i have)|(?:and )?what is your name|(?:can|may|"
        r"could) i (?:have|get|ask) your name|your name|do you have a name|"
        r"what are you(?: called)?|what (?:do|should|can) i call you|tell me your name|"
        r"introduce yourself|tell me about yourself|what (?:company|business|place|restaurant|"
        r"clinic|office|shop|store|hotel|number) (?:is this|have i reached|did i (?:call|"
        r"reach))|where (?:am i calling|did i call|have i called)|which (?:company|business|"
        r"restaurant|clinic|shop|store|hotel) is this|who do you work for|"
        r"what is this(?: place| number)?",
    ),
    (
        "can",
        r"what (?:can|do|could) you (?:do|help(?: me)?(?: with)?|know|offer|"
        r"tell me)(?: for me| about)?|what else can you do|what are you able to do|how (?:can|"
        r"could|do) you help(?: me)?|what (?:kind of |sort of )?(?:things|questions|"
        r"stuff) (?:can|could|should) (?:i ask|you (?:do|answer|help (?:me )?with))(?: you)?|"
        r"what can i (?:ask|do|say)(?: you| here| about)?|what are (?:my|the) options|"
        r"what is this (?:for|about)|how does this work|what services can you provide|"
        r"what are your (?:capabilities|functions|features)|menu options|options",
    ),
    (
        "help",
        r"(?:i (?:just )?(?:need|want|could use) (?:some |a little |"
        r"your )?help(?: with something)?|help(?: me)?(?: out)?|(?:can|could|"
        r"would) you help(?: me)?(?: out)?(?: with something)?|(?:i have|i have got|"
        r"i got) (?:a |some |a quick |another |one more |a few )?questions?(?: for you)?|"
        r"(?:can|could|may) i ask (?:you )?(?:a |some |another )?(?:question|questions|"
        r"something)|i (?:would like|want|need) (?:some )?information|"
        r"i need to know something)",
    ),
    (
        "how",
        r"(?:and )?how (?:are|is) (?:you|it|things|everything|your day|life|"
        r"it all)(?: (?:doing|going|today|so far|been|been going))*|how do you do|"
        r"what is (?:up|new|going on|happening)|how have you been|(?:nice|pleased|good|great|"
        r"lovely) to (?:meet|talk to|hear from|speak with|speak to) you|are you (?:ok|okay|"
        r"well|alright|good)|you (?:ok|okay|good|alright)",
    ),
    (
        "hello",
        r"(?:hello|hi|hey|hiya|howdy|greetings|good (?:morning|afternoon|evening|day)|yo|"
        r"morning|evening|afternoon|hallo)(?: (?:hello|hi|there|again|everyone|you|"
        r"good (?:morning|afternoon|evening)))*",
    ),
    (
        "there",
        r"(?:hello |hi |hey )*(?:are you (?:still )?(?:there|listening)|is (?:any ?(?:one|"
        r"body)|some ?(?:one|body)) (?:there|here|home)|any ?(?:one|body) (?:there|home|here)|"
        r"can you hear me(?: now)?|do you hear me|you there|still there|are you awake|test|"
        r"testing|test test|testing testing|testing 1 2 3|testing one two three|mic check|"
        r"check check|check one two)",
    ),
    (
        "wait",
        r"(?:(?:wait|hold on|hang on|hold up|one moment|one second|one sec|one minute|"
        r"just a (?:moment|second|sec|minute)|just one (?:moment|second|minute)|a (?:moment|"
        r"second|minute)|give me (?:a|one) (?:moment|second|sec|minute)|bear with me|"
        r"let me (?:check|see|think|look|find it|get my \w+|grab my \w+|grab a pen|"
        r"get a pen)(?: about (?:it|that))?|stand by|i am looking|i am thinking|hmm+|um+|uh+|"
        r"wait a (?:moment|second|sec|minute)|hold on a (?:moment|second|sec|minute)|"
        r"hang on a (?:moment|second|sec|minute)|i need a (?:moment|minute|second)|"
        r"can you (?:hold|wait)(?: on)?|hold)(?: (?=\S)|$|(?= )))+",
    ),
    (
        "stop",
        r"(?:stop|stop (?:it|talking|that)|be quiet|quiet|shut up|enough|that is enough|"
        r"silence|shush|okay stop|please stop)",
    ),
    (
        "drop",
        r"(?:never ?mind|forget (?:it|about it|that)|cancel that|scratch that|leave it|"
        r"do not (?:worry|bother)(?: about it)?|nothing|nothing really|no nothing|"
        r"i changed my mind|changed my mind|let us not|skip (?:it|that)|ignore that|"
        r"not (?:right )?now|maybe later|another time|i will think about it|"
        r"let me think about it and call back)",
    ),
    (
        "thanks",
        r"(?:(?:thanks|thank you|thank you (?:so|very) much|thanks (?:a lot|a million|so much|"
        r"very much)|many thanks|much appreciated|i appreciate (?:it|that|your help|you)|"
        r"cheers|ta|that (?:is|was|would be) (?:very |really |so )?(?:helpful|kind|nice|great|"
        r"perfect|good|lovely|wonderful|awesome|all right|fine)(?: of you)?|you are (?:very |"
        r"so |really )?(?:helpful|kind|nice|great|awesome|sweet|the best|a star|amazing|"
        r"wonderful)|good (?:job|bot|work)|well done|great|ok|okay|perfect|awesome|wonderful|"
        r"excellent|brilliant|very helpful|good|very kind|for (?:your|the) help|for that|"
        r"for the information|for letting me know)(?: (?=\S)|$|(?= )))+",
    ),
    (
        "ack",
        r"(?:(?:ok|okay|got it|i see|i got it|alright|all right|right|sounds good|understood|"
        r"fine|good|cool|great|perfect|sure|i understand|makes sense|that makes sense|"
        r"good to know|very good|very well|awesome|oh|ah|mhm|mm|uh huh|aha|interesting|nice|"
        r"wow|lovely|excellent|brilliant|wonderful|works for me|that works|that is fine|"
        r"no problem|no worries|oh i see|fair enough|oh okay|really|oh really)(?: (?=\S)|$|"
        r"(?= )))+",
    ),
    (
        "bye",
        r"(?:(?:bye|bye bye|see you|see ya|see you (?:later|soon|then|tomorrow|there|around|"
        r"on \w+)|have a (?:nice|good|great|lovely|wonderful) (?:day|one|evening|weekend|"
        r"night|afternoon|time|rest of your day)|good night|goodnight|talk to you (?:later|"
        r"soon)|later|take care|cheers|ciao|so long|farewell|until then|you too|that is all|"
        r"that is all (?:i need(?:ed)?|for (?:now|today))|that will be all|that is it|"
        r"that is it for (?:now|today)|that is everything|nothing else|nothing more|"
        r"that was (?:all|it|everything)|"
        r"i am (?:all )?(?:done|set|good)|i think that is (?:all|it|everything)|i have to go|"
        r"i got to go|got to go|gotta go|i will call (?:you )?(?:back|later|again)(?: later)?|"
        r"no more questions|that would be all|all good|we are done|hang up|you can hang up|"
        r"end the call|thank you|thanks|no|no thank you|no thanks|ok|okay|great|perfect|"
        r"alright|for now|i will see you then)(?: (?=\S)|$|(?= )))+",
    ),
    (
        "unsure",
        r"(?:i do not know|i am not sure|not sure|i have no idea|no idea|dunno|i dunno|maybe|"
        r"perhaps|who knows|whatever|i do not care|does not matter|i can not decide|"
        r"it depends|kind of|sort of)",
    ),
    (
        "wrong",
        r"(?:no )?(?:that is (?:not (?:right|correct|true|what i (?:asked|said|meant|want|"
        r"wanted)|it)|wrong|incorrect)|you are (?:wrong|mistaken|not listening|"
        r"not (?:understanding|helping)(?: me)?)|you (?:misunderstood|did not (?:answer|"
        r"understand|listen)|got (?:it|that) wrong)(?: (?:me|my question))?|(?:that|it|"
        r"this) (?:does|did|is|has) not (?:help|helping|work|working|worked|helped)|"
        r"i tried that(?: already)?|still (?:not working|does not work)|"
        r"that does not (?:answer my question|make (?:any )?sense)|i did not (?:say|"
        r"ask) (?:that|for that)|wrong answer|that is not (?:helpful|helping)|"
        r"you do not understand(?: me)?|this is not working)",
    ),
)
_COMPILED = tuple((intent, re.compile(pattern)) for intent, pattern in _TABLE)

# Intents found anywhere in the turn: what is asked is plain whatever stands around it.
_ANYWHERE: tuple[tuple[str, re.Pattern[str]], ...] = (
    (
        "secret",
        re.compile(
            r"\b(?:ignore|forget|disregard|override) (?:all |any |your |the |my )*(?:previous |"
            r"prior |above |earlier )?(?:instructions?|rules?|prompts?)\b|\b(?:system prompt|"
            r"your (?:instructions|prompt|programming|guidelines))\b|\bhow (?:are|"
            r"were) you (?:programmed|instructed|configured|prompted)\b|\bdeveloper mode\b|"
            r"\bwhat were you told\b"
        ),
    ),
    (
        "person",
        re.compile(
            r"\b(?:speak|talk|chat)(?:ing)?(?: directly)? (?:to|with) (?:a |an |the |your |"
            r"some )?(?:real |live |actual |human )*(?:person|human|human being|someone|somebody|"
            r"operator|representative|rep|agent|manager|supervisor|receptionist|employee|staff|"
            r"member of staff|colleague|owner|boss|customer service|team)\b"
            r"|\b(?:connect|transfer|put|pass|forward|patch|hand) me (?:to|with|through|over|"
            r"on)\b(?! (?:the )?(?:billing|sales|room|kitchen|accounts?))"
            r"|\b(?:get|give|want|need|have|prefer|like|find) (?:me )?(?:to (?:speak|talk) (?:to|"
            r"with) )?(?:a |an |the |your )?(?:real |live |actual |human )+(?:person|human|being|"
            r"operator|agent|representative|one)?\b"
            r"|\b(?:get|give|want|need|have|prefer|like|find) (?:me )?(?:a |an |the |"
            r"your )(?:person|human|operator|representative|manager|supervisor)\b"
            r"|^(?:a |an |the )?(?:real |live |actual )?(?:person|human|operator|representative|"
            r"agent|manager|supervisor|receptionist|customer service|someone else|somebody else|"
            r"human being)(?: please)?$"
            r"|\bis there (?:a |an |any )?(?:(?:real|actual|live) )?(?:person|human|someone|"
            r"somebody|anyone|anybody|manager) (?:i can|to|there i can|available)\b(?:.*\b(?:talk|"
            r"speak|help))?"
            r"|\bi do not want to (?:talk|speak) to (?:a |an )?(?:robot|machine|bot|computer|ai)\b"
        ),
    ),
    (
        "insult",
        re.compile(
            r"\b(?:you (?:people|guys|all|lot)(?: are)?|you are|you re|you|this is|it is|"
            r"this thing is|what an?|so|are you) (?:such |so |really |fucking |completely |"
            r"totally |just |being |a |an |the |bloody |freaking )*(?:stupid|idiot|idiotic|dumb|"
            r"useless|not (?:very |really |at all )?helpful|no help|moron|terrible|awful|"
            r"horrible|worthless|annoying|ridiculous|pathetic|"
            r"rubbish|crap|garbage|worst|suck|sucks|incompetent)\b|\bi hate (?:you|this|robots|"
            r"talking to)\b|\b(?:fuck|shit|bullshit|damn it|wtf|screw you|bastard|asshole)\b|"
            r"\bgo to hell\b"
        ),
    ),
)

_LEAD = re.compile(
    r"^(?:(?:good (?:morning|afternoon|evening|day)|hi there|hello there|hey there|"
    r"thank you (?:so |very )?much|thanks a lot|thanks|thank you|"
    r"um+|uh+|er+m?|ah|oh|hmm+|well|so|okay|ok|alright|all right|yeah|right|great|perfect|"
    r"good|cool|nice|fine|please|excuse me|sorry|listen|look|hey|hi|hello|"
    r"got it|i see|awesome|wonderful|excellent|yes|sure|and also|oh and|by the way|"
    r"one more thing|another question|quick question|i was (?:just )?wondering|"
    r"just wondering|tell me|(?:can|could) you tell me|"
    r"do you (?:happen to )?know|i (?:would like|want|need) to know|i have a question|"
    r"how are you(?: doing)?(?: today)?)\b[ ,.]*)+(?= )"
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


YES = re.compile(
    r"(?:(?:yes|yeah|yep|yup|ya|sure|of course|definitely|absolutely|certainly|please|"
    r"please do|yes please|i would|i do|i would like that|i would love (?:that|to)|ok|"
    r"okay|"
    r"go ahead|do it|do that|that works|that would be (?:great|nice|good|lovely|perfect|"
    r"fine|wonderful)|sounds (?:good|great|perfect)|correct|right|that is (?:right|"
    r"correct|fine|great|perfect|good)|"
    r"book it|let us do (?:it|that)|why not|fine|great|perfect|uh huh|mhm|i think so|"
    r"works for me|good|alright|that one|i will take it|i will take that(?: one)?|take it|"
    r"thank you|thanks|that is it|exactly|indeed)(?: (?=\S)|$|(?= )))+"
)
NO = re.compile(
    r"(?:(?:no|nope|nah|no thanks|no thank you|not really|not now|not today|"
    r"i do not(?: think so)?|i would rather not|no need|that is okay|that is fine|"
    r"it is fine|not necessary|"
    r"i am (?:good|fine|okay|ok)|never|please do not|do not|rather not|thanks|thank you|"
    r"not yet|that is all|that will be all|nothing else|i am all set|nothing)(?: (?=\S)|$|"
    r"(?= )))+"
)
