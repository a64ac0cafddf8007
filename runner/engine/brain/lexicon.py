"""What words have to do with each other on a front desk: tables, no logic.

Written out as plain words; :mod:`words` stems them once. An *aspect* is what a question wants to
know about a thing (its price, its hours); a *synonym set* is one thing under several names.
"""

from __future__ import annotations


def bag(words: str) -> frozenset[str]:
    """The words of a table."""
    return frozenset(words.split())


def row(words: str) -> list[str]:
    """The words of a table, in order."""
    return words.split()


# Aspect -> (how the agent names it when it lists what it knows, the words that mean it).
ASPECTS: dict[str, tuple[str, str]] = {
    "hours": (
        "our opening hours",
        "hour hours open opens opened opening close closes closed closing closure weekday weekend",
    ),
    "price": (
        "prices",
        "price prices pricing cost costs costing fee fees charge charges charged rate rates dollar "
        "dollars included complimentary euro euros pound pounds cheap cheaper cheapest "
        "expensive free affordable tariff "
        "quote bucks surcharge cent cents",
    ),
    "location": (
        "where to find us",
        "address location located where directions find street situated nearest landmark map",
    ),
    "parking": ("parking", "park parking parked garage carpark valet"),
    "contact": (
        "how to reach us",
        "phone telephone number email mail fax website contact reach hotline line url site online",
    ),
    "payment": (
        "ways to pay",
        "pay paying payment payments card cards credit debit cash visa mastercard amex american "
        "express cheque cheques paypal invoice bill installment installments financing contactless "
        "bitcoin crypto apple",
    ),
    "insurance": (
        "insurance",
        "insurance insurances insured insurer coverage cover covered medicaid medicare",
    ),
    "booking": (
        "appointments and bookings",
        "book booking bookings booked appointment appointments reserve reservation reservations "
        "schedule slot slots visit table seat",
    ),
    "cancel": (
        "cancellations",
        "cancel cancels cancelled cancellation cancelling reschedule rescheduling rebook postpone "
        "noshow",
    ),
    "duration": (
        "how long things take",
        "duration minute minutes last lasts length wait turnaround soon quickly fast",
    ),
    "delivery": (
        "delivery",
        "deliver delivers delivery deliveries shipping ship ships shipped courier shipment",
    ),
    "pickup": ("pickup", "pickup collect collection takeaway takeout togo carryout"),
    "menu": (
        "the menu",
        "menu dish dishes meal meals food eat eats serve serves cuisine special specials",
    ),
    "diet": (
        "dietary options",
        "vegan vegetarian veggie gluten glutenfree allergy allergies allergic allergen allergens "
        "dairy lactose halal kosher nut nuts peanut peanuts meatless plantbased celiac coeliac",
    ),
    "wifi": ("wifi", "wifi internet wireless"),
    "pets": ("pets", "pet pets dog dogs cat cats animal animals puppy"),
    "refund": (
        "refunds and returns",
        "refund refunds refunded return returns returned exchange exchanges moneyback",
    ),
    "staff": (
        "our team",
        "staff team dentist dentists doctor doctors owner chef manager hygienist physician "
        "technician trainer stylist dr boss head director principal librarian",
    ),
    "language": ("languages", "language languages spanish french german english mandarin speak"),
    "access": (
        "accessibility",
        "wheelchair accessible accessibility ramp elevator lift stairs disabled disability step",
    ),
    "checkin": ("check-in and check-out", "checkin checkout arrival arrive arriving leave"),
    "status": ("the status of an order", "status track tracking progress"),
    "services": (
        "our services",
        "service services treatment treatments procedure procedures offering product products",
    ),
}

# Things with several names. The first word names the set.
SYNONYMS: tuple[str, ...] = (
    "tooth teeth dental",
    "pain injured injury injure killing bleeding bleed swollen throbbing broke hurt "
    "hurts hurting ache aching aches toothache sore painful agony",
    "child children kid kids son daughter baby babies infant infants toddler pediatric minor age "
    "teenager",
    "luggage baggage suitcase suitcases bag bags trunk carryon",
    "age old young adult underage",
    "wear dress dresscode attire clothes outfit dressed",
    "emergency urgent urgently urgency emergencies immediately asap",
    "cleaning clean hygiene scale polish",
    "checkup exam examination inspection",
    "pizza pizzas pie pies",
    "drink drinks beverage beverages soda cola beer wine",
    "dessert desserts sweet tiramisu",
    "room rooms suite bedroom",
    "breakfast breakfasts",
    "pool swimming swim",
    "gym fitness workout",
    "password passcode login signin credentials",
    "plan plans subscription subscriptions tier tiers package packages",
    "trial trials",
    "bug error errors crash crashes crashed broken fault issue problem",
    "discount discounts coupon coupons promo promotion promotions deal deals offer",
    "person human operator representative someone somebody someone staff agent manager",
    "order orders purchase purchased buy bought",
    "track tracking status progress",
    "owner owns own owned",
    "noise noisy loud",
    "included include includes complimentary extra",
    "teach teaches teacher instructor instructors trainer trainers training coach coaches",
    "member membership memberships join joining signup register registration enroll",
    "student students pupil",
    "tow towing towed stranded breakdown roadside stuck highway",
    "loaner loaners rental rentals courtesy replacement",
    "bus train subway metro tram transit transport station",
    "taxi cab uber",
    "bike bikes bicycle bicycles cycle",
    "computer laptop pc",
    "photo photos photography photograph photographs picture pictures image images",
    "movie movies film films",
    "ticket tickets admission entry entrance",
    "exhibit exhibits exhibition exhibitions",
    "vaccine vaccines vaccination vaccinations shot shots",
    "vet veterinarian",
    "wedding weddings bridal bride marriage",
    "flower flowers bouquet bouquets rose roses",
    "lunch lunches",
    "dinner dinners supper",
    "brunch",
    "donate donation donations donated",
    "terrace patio outdoor outdoors outside garden",
    "borrow loan loans lend",
    "renew renewal renewals extend",
    "fine fines overdue",
    "crib cot highchair",
    "elevator lift",
    "lesson lessons class classes course courses",
    "beginner beginners novice",
    "quit cancel terminate cancelling",
    "corkage wine wines",
    "damage damaged broken scratched defective",
    "size sizes fit",
    "warranty guarantee guaranteed",
    "estimate quote",
    "diet nutrition eat food weight",
    "haircut haircuts cut trim",
    "massage massages",
    "deposit deposits prepay prepayment",
    "apartment flat",
    "upgrade upgrades downgrade",
    "storage space gigabytes gb",
    "maximum max limit biggest largest greatest highest upto",
    "minimum min smallest least lowest",
    "file files document documents",
    "upload uploads uploading send",
    "fast quick speed quickly",
    "car vehicle automobile",
    "smoke smoking smoker cigarette",
    "luggage bag bags baggage suitcase suitcases",
    "airport shuttle transfer",
    "holiday holidays christmas thanksgiving easter",
    "party event birthday celebration private function",
    "group groups parties large",
    "open opens opened close closed closes closing",
    "winter summer spring autumn season seasonal january february march april june july august "
    "september october november december",
    "upset angry furious complain complaint complaints unhappy dissatisfied frustrated annoyed "
    "terrible awful",
    "size sizes inch inches large small medium",
    "first new newcomer",
    "new replacement replace replaced",
    "membership member members",
    "receipt invoice invoices bill billing",
    "repair fix fixes fixing repairs",
    "installation install installing setup",
    "guarantee warranty guaranteed",
    "move change reschedule rescheduling modify alter",
    "gift voucher vouchers giftcard certificate",
    "test tests testing",
    "medicine aspirin ibuprofen painkiller painkillers antibiotic antibiotics pill pills "
    "medication prescription drug drugs",
    "lost left lose forgot forgotten missing",
    "late delay delayed overdue",
    "hire rent rental rental",
    "salary job jobs hiring career careers vacancy vacancies",
)

# Words of a question that say nothing about its topic.
STOP = bag(
    """
    a about above actually after again ah all alright also am an and any anybody anyone
    anything are around as ask asking at available be because been before being but by can
    cannot come could dear did do does doing done during either else er even ever every
    fine for from get gets getting give go going good got great guess guys had has have
    having he hello help her here hey hi him his hm how i if in info information into is
    it its just kind know let like little long look looking lot lovely make many may maybe
    me mean might more most much must my myself need needs never nice no not now of off oh
    ok okay on one only or other our out over per perhaps please possible possibly provide
    really regarding right said say see shall she should show so some somebody something
    sometime soon sorry sort speak still stuff such sure take tell than thank thanks that
    the their them then there these they thing things think this those through to too try
    two uh um under until up upon us use very wait want wanted wants was way we well went
    were what whatever when where whether which while who whom why will wish with within
    without wonder wondering would yeah yes yet you your yours yourself ya gonna wanna
    today exactly currently usually anyway call called calling calls kindly happen let
    lets work works working hear heard question questions quick
    """
)

# Stems that say little on their own about what is asked.
LIGHT_WORDS = bag(
    """
    check time day place thing number person people name week month year way kind type
    list detail option bit moment minute second morn morning afternoon evening night guy
    line phon part point rest start set use today tomorrow tonight offer back buy stay
    leav accept allow take arriv learn hold put keep pick bring plan mind tri hop run
    pleas
    """
)

# Turns of phrase that ask for an aspect without its words: (pattern on the normal text, aspect).
PHRASES: tuple[tuple[str, str], ...] = (
    (r"\bhow much(?! (?:time|notice|long))\b", "price"),
    (r"\bwhat (?:is|are|would) (?:the |your )?(?:damage|it cost)", "price"),
    (r"\bwhat do (?:you|i) (?:charge|pay|owe)\b|\bset me back\b", "price"),
    (
        r"\b(?:what time|when|how late|how early|until when|till when) (?:do|are|will|does|can|is) "
        r"(?:you|i come|the (?:shop|store|office|clinic|restaurant|place|business|practice))"
        r"(?!.*\b(?:deliver|serve|ship))",
        "hours",
    ),
    (
        r"\b(?:are|is|will) (?:you|anyone|anybody|someone|the (?:shop|store|office|clinic|"
        r"restaurant|place)) (?:guys )?(?:there|around|in|here|working)\b",
        "hours",
    ),
    (r"\bdo you work (?:on|at)\b|\bwork (?:on )?(?:satur|sun|week)", "hours"),
    (
        r"\bwhere (?:are|is) (?:you|your (?:shop|store|office|clinic|restaurant|place|hotel)|"
        r"the (?:shop|store|office|clinic|restaurant|place|hotel|practice))\b",
        "location",
    ),
    (r"\bhow (?:do|can|would) (?:i|we) (?:get|find|reach) (?:there|to you|you|it)\b", "location"),
    (r"\bwhere (?:do|can|should) (?:i|we) (?:go|come|find you)\b|\bwhat street\b", "location"),
    (r"\bhow long\b", "duration"),
    (r"\b(?:have|need|got) to pay\b|\bpay (?:extra|more)\b", "price"),
    (r"\bout of (?:the|my|our) room\b|\bleave (?:the|my|our) room\b|\bvacate\b", "checkin"),
    (
        r"\b(?:until|till|from|since) when\b|\bwhen can (?:i|we) (?:call|reach|come|visit|stop)\b",
        "hours",
    ),
    (r"\bhow (?:do|can|could) (?:i|we) (?:call|reach|write|contact)\b", "contact"),
    (r"\bwho (?:is|are) (?:the|your)\b", "staff"),
    (
        r"\bwhat (?:do you|have you got|can i|can we|kind of|sort of).*\b(?:eat|order|serve)\b",
        "menu",
    ),
    (
        r"\b(?:come|fit me|squeeze me|get me|get|pop|see me|stop|drop) (?:in|by|"
        r"over)\b(?! for free)",
        "booking",
    ),
    (
        r"\b(?:bring|take|drop) (?:my|our|the|it|in)\b.*\bin\b|\b(?:get|have) (?:my|"
        r"our) .*(?:done|fixed|serviced|checked|cut|cleaned|repaired|looked at)",
        "booking",
    ),
    (r"\bsee (?:the|a|one of|dr|doctor|somebody|someone)\b|\bbe seen\b", "booking"),
    (
        r"\b(?:anything|something|slots?|times?|appointments?|tables?|rooms?|spots?|seats?)"
        r"(?: is| are)? (?:free|available|open|left)\b",
        "booking",
    ),
    (
        r"\b(?:free|available) (?:on|at|for)\b|\b(?:free|available|open) (?:slots?|times?|"
        r"appointments?|tables?|spots?)\b",
        "booking",
    ),
    (r"\bavailab\w+\b|\bopenings\b|\bhave (?:any )?time\b|\btable for\b", "booking"),
    (r"\bcan not (?:make|come)\b|\bnot (?:able|going) to (?:make|come)\b|\bcall off\b", "cancel"),
    (
        r"\b(?:move|change|shift|push) (?:my|the|our) (?:appointment|booking|reservation)\b",
        "cancel",
    ),
    (
        r"\bmoney back\b|\bsend (?:it|this|them|something|an? \w+|the \w+|my \w+) back\b|"
        r"\bbring (?:it|this) back\b",
        "refund",
    ),
    (
        r"\bwhere is (?:my|our|the)\b.*\b(?:order|package|parcel|delivery|pizza|food|"
        r"shipment)\b|\b(?:is|has|when will) (?:my|our) \w+"
        r".*\b(?:ready|ship|shipped|arrive|come|left|here|sent)\b",
        "status",
    ),
    (r"\bhow (?:do|can|should) (?:i|we) pay\b", "payment"),
)

UNITS = row(
    "zero one two three four five six seven eight nine ten eleven twelve thirteen fourteen "
    "fifteen sixteen seventeen eighteen nineteen"
)
TENS = row("twenty thirty forty fifty sixty seventy eighty ninety")
ORDINALS = row(
    "zeroth first second third fourth fifth sixth seventh eighth ninth tenth eleventh twelfth "
    "thirteenth fourteenth fifteenth sixteenth seventeenth eighteenth nineteenth twentieth"
)
DAYS = row("monday tuesday wednesday thursday friday saturday sunday")
MONTHS = row(
    "january february march april may june july august september october november december"
)
