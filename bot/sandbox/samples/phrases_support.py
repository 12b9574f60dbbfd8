"""Phrases of an online shop's support desk, by topic: (what is asked, what is answered), with slots in braces."""

from __future__ import annotations

import random

SYSTEM = "You are the support assistant of Fernway, an online shop for home and garden. Be helpful, warm and brief."
SLOTS: dict[str, tuple[str, ...]] = {
    "product": (
        "cordless drill",
        "oak bookshelf",
        "robot mower",
        "espresso machine",
        "garden hose reel",
        "linen duvet set",
        "air purifier",
        "standing desk",
        "rice cooker",
        "patio heater",
        "smart thermostat",
        "cast iron pan",
        "leaf blower",
        "floor lamp",
        "raised planter",
    ),
    "days": ("two days", "four days", "a week", "nine days", "almost two weeks", "three weeks"),
    "amount": ("18.90", "24.50", "39.00", "62.75", "89.99", "114.20", "149.00", "230.40", "318.60"),
    "city": ("Leeds", "Utrecht", "Graz", "Porto", "Cork", "Lyon", "Malmö", "Ghent", "Turin"),
    "carrier": ("DPD", "the postal service", "UPS", "GLS", "your own van"),
    "card": ("Visa card", "Mastercard", "PayPal account", "bank transfer", "gift card"),
    "device": ("iPhone", "Android phone", "iPad", "Windows laptop", "MacBook"),
    "reason": (
        "the colour is nothing like the photo",
        "it is too big for our kitchen",
        "my partner had already bought one",
        "one of the legs is cracked",
        "it makes a grinding noise",
        "I changed my mind",
        "the box had been opened before",
    ),
    "plan": ("Plus", "Family", "Garden Club", "Premium delivery"),
    "month": ("January", "March", "April", "June", "September", "November"),
    "opener": ("", "", "Hi, ", "Hello there, ", "Good morning, ", "Hey, ", "Quick question: ", "Hi team, "),
    "closer": (
        "",
        "",
        " Thanks!",
        " Could you help me with that?",
        " I would be glad to hear from you soon.",
        " This is the first time I write to you.",
        " Please keep it simple, I am not good with these things.",
        " I have guests coming at the weekend.",
        " My order confirmation is attached to my account.",
    ),
}
TOPICS: dict[str, list[tuple[str, str]]] = {
    "refunds": [
        (
            "I sent the {product} back {days} ago and still have no refund for order {order}. When does it arrive?",
            "I am sorry for the wait. Order {order} reached our returns centre, and refunds to a {card} take up to five "
            "working days from there. If nothing shows by then, reply here and I will trace it for you.",
        ),
        (
            "How do I return the {product} from order {order}? {reason_c}.",
            "You can return it within 30 days. Open Orders, choose {order}, press Return and print the label. As soon "
            "as it is scanned, your refund of {amount} euros is on its way.",
        ),
        (
            "You refunded only part of what I paid for the {product}. I am {amount} euros short on order {order}.",
            "Thank you for telling me. The delivery charge was left out of the first refund; I have asked for the "
            "missing {amount} euros, and you will get an email once it is booked.",
        ),
        (
            "Can I have store credit instead of money back for the {product}? I paid with a {card}.",
            "Of course. Choose Store credit on the return form and it is added at once, with no need to wait for "
            "your bank.",
        ),
        (
            "The return label for order {order} does not print from my {device}. Is there another way?",
            "Yes: press Show code instead of Print, and the parcel shop will print the label for you. The code is "
            "valid for fourteen days.",
        ),
    ],
    "billing": [
        (
            "I was charged twice for order {order}: {amount} euros on my {card}, on the same day.",
            "That should not happen. One of the two is a reservation that your bank releases by itself within three "
            "days. If both are booked after that, send me a screenshot and I will return one.",
        ),
        (
            "There is a charge of {amount} euros from you in {month} that I do not recognise.",
            "Let us find it. Charges in {month} over that sum usually are a yearly membership. Look under Account, "
            "Payments; if it is not there, I will open an inquiry.",
        ),
        (
            "Where do I download the invoice for the {product}? My company needs it with our VAT number.",
            "Under Orders, open the order and choose Invoice. Enter the VAT number there once, and it is printed on "
            "this and every later invoice.",
        ),
        (
            "My {card} was declined when I tried to pay {amount} euros, but it works everywhere else.",
            "Sorry about that. Your bank probably asks for a confirmation in its app that timed out. Try again with "
            "the app open, or choose another method; your basket is kept for two days.",
        ),
        (
            "How do I cancel the {plan} membership before it renews in {month}?",
            "Open Account, Memberships, and choose End {plan}. It stays active until the paid period is over, and "
            "nothing more is charged.",
        ),
        (
            "The voucher from your newsletter takes nothing off the {product}. What am I doing wrong?",
            "Nothing: the voucher excludes items that are already reduced. It works on any full-price item of 40 "
            "euros or more.",
        ),
    ],
    "shipping": [
        (
            "Where is order {order}? The tracking has not moved for {days} since {city}.",
            "It is waiting at the depot in {city}. If there is no scan by tomorrow evening, tell me and I will send "
            "a replacement {product} without waiting for the carrier.",
        ),
        (
            "{carrier_c} says the {product} was delivered, but there is nothing at my door in {city}.",
            "I am sorry. Please look with your neighbours and in the safe place named in the tracking. If it has not "
            "turned up within a day, I will open a search and you choose a refund or a new one.",
        ),
        (
            "Can I still change the delivery address of order {order} to {city}?",
            "As long as the status is Preparing, yes: Orders, {order}, Change address. After that the carrier can "
            "redirect it from the link in your dispatch email.",
        ),
        (
            "How much is delivery of a {product} to {city}, and how long does it take?",
            "Delivery to {city} costs 4.90 euros and takes three to five working days; large items come by "
            "appointment. It is free above 75 euros.",
        ),
        (
            "I need the {product} before the end of {month}. Is there an express option?",
            "Yes. Choose Express at checkout: ordered before noon, it leaves the same day and arrives within two "
            "working days.",
        ),
        (
            "Part of order {order} is missing. The {product} came, the other parcel did not.",
            "Your order was sent in two parcels. The second one left later and has its own tracking, which I have "
            "just sent to your email address.",
        ),
        (
            "The {product} arrived with a dented box and a broken corner. {carrier_c} left it in the rain.",
            "That is disappointing, I am sorry. Send two photos here and I will arrange a replacement; you need not "
            "return the damaged one.",
        ),
    ],
    "account": [
        (
            "I cannot log in on my {device}. The reset link never arrives.",
            "Please look in the spam folder and check that the address is the one you ordered with. I have sent a "
            "new link, which is valid for an hour.",
        ),
        (
            "How do I change the email address of my account? I no longer have access to the old one.",
            "I can change it once you name your last order number and the postcode it went to. Then you confirm the "
            "new address by a link.",
        ),
        (
            "Please delete my account and all the data you hold about me.",
            "You can do it yourself under Account, Privacy, Delete. Invoices are kept for as long as the law asks, "
            "everything else is gone within thirty days.",
        ),
        (
            "I made two accounts by mistake, one with my {device}. Can you merge them with order {order}?",
            "Yes. Tell me which address should stay, and I will move order {order} and your points there.",
        ),
        (
            "Somebody in {city} logged in to my account. What should I do now?",
            "Please change your password at once and press Sign out everywhere under Security. No card numbers are "
            "shown in your account, and I see no new orders.",
        ),
        (
            "How do I turn off the marketing emails but keep the order updates?",
            "Under Account, Notifications, switch off News and offers. Messages about your orders stay on.",
        ),
    ],
    "technical": [
        (
            "The {product} does not switch on since {month}. I have tried another socket.",
            "Thank you for trying that already. Hold the power button for fifteen seconds to reset it. If it stays "
            "dark, it is covered by the guarantee and I will send a replacement.",
        ),
        (
            "The app on my {device} crashes whenever I add the {product}.",
            "That happens in the version before last. Please update the app, restart the {device}, and add it "
            "again; if it still closes, send me the time of the crash.",
        ),
        (
            "How do I connect the {product} to the wifi? It only blinks red.",
            "Red means it sees the network but not the password. Hold the wifi button until it blinks blue, and make "
            "sure that your router offers 2.4 GHz.",
        ),
        (
            "Your website shows an error when I check out with my {card}: something went wrong, code {code}.",
            "Code {code} is a session that has expired. Please empty the browser's cache for our site or use a "
            "private window; your basket will still be there.",
        ),
        (
            "The {product} shows {code} and stops after ten minutes.",
            "{code} stands for overheating. Let it cool, clean the filter at the back, and leave a hand's breadth "
            "free around it. If it returns, we repair it at no cost.",
        ),
        (
            "Is there a manual for the {product}? Mine was missing and the app is only in German on my {device}.",
            "Certainly: every manual is on the product's page under Downloads. For the app, choose the language "
            "under Settings, General.",
        ),
        (
            "After the update in {month} the {product} forgets its schedule every night.",
            "We know of that fault and a correction is being rolled out. Until then, switch off Eco mode, which is "
            "what clears the schedule.",
        ),
    ],
    "product": [
        (
            "Does the {product} fit in a space of {size} centimetres?",
            "You will find the exact measures under Specifications; please leave three centimetres on each side for "
            "air. If in doubt, returns are free for thirty days.",
        ),
        (
            "What is the difference between the {product} and the cheaper one at {amount} euros?",
            "The dearer one has a longer guarantee and replaceable parts; in everyday use they perform alike. For "
            "occasional use, the cheaper one is a sound choice.",
        ),
        (
            "When will the {product} be back in stock? It has been sold out for {days}.",
            "The next delivery is planned for {month}. Press Tell me on its page and you get an email the moment it "
            "can be ordered.",
        ),
        (
            "Is the {product} safe to use with small children and a cat around?",
            "It has a child lock and switches off when tipped over. Still, please do not leave it running "
            "unattended.",
        ),
        (
            "Can I buy a spare part for a {product} from {month} two years ago?",
            "Yes, we keep spare parts for seven years. Send the number on the label at the back and I will find the "
            "right one.",
        ),
        (
            "How much electricity does the {product} use if I run it {days} a month?",
            "Its power is on the label in watts. Multiplied by the hours of use and divided by a thousand, it gives "
            "the kilowatt hours; the product page has an example.",
        ),
    ],
    "complaints": [
        (
            "I am really disappointed. Third broken {product} in a row, and every time I have to explain everything.",
            "You are right to be annoyed, and I am sorry. I have put your three cases into one, and a colleague "
            "will handle it until it is solved.",
        ),
        (
            "I waited {days} for an answer and then got a form letter. That is no way to treat customers.",
            "That was not good enough, and I apologise. I have read your whole history now, and here is what I can "
            "do today.",
        ),
        (
            "Your driver from {carrier} was rude to my mother and threw the {product} over the fence.",
            "I am sorry that this happened. I have passed it to the carrier's manager with the time and place, and "
            "will tell you what they answer.",
        ),
        (
            "You advertised the {product} at {amount} euros and charged me more at checkout. That is misleading.",
            "I understand your anger. The offer had ended an hour before; as the page still showed it, I will give "
            "you the difference back.",
        ),
    ],
}
ORPHANS = (
    "Thank you for your patience. The parcel left our warehouse this morning.",
    "Your refund has been booked and should arrive within five working days.",
    "I have updated the delivery address as you asked.",
    "The guarantee covers this fault, so the repair costs you nothing.",
    "Please send two photos of the damage and I will arrange a replacement.",
    "The membership ends with the paid period; nothing more will be charged.",
    "I have sent a new link to reset the password. It is valid for an hour.",
    "The item will be back in stock next month.",
    "Your two accounts have been merged, and the points were moved.",
    "The invoice with your VAT number is attached.",
    "I have passed your complaint to the manager of the depot.",
    "Holding the button for fifteen seconds resets the device.",
    "Delivery is free above 75 euros.",
)
SEEDS = (
    (
        "My parcel was supposed to come on Monday and tracking still says it has not left your warehouse.",
        "I am sorry for the delay. It leaves today, and I have refunded the delivery charge.",
    ),
    (
        "How do I get an invoice in my company's name for an order from last week?",
        "Open the order, choose Invoice, and enter the company's name and VAT number there.",
    ),
    (
        "The heater switches itself off after five minutes and shows a blinking light.",
        "The blinking light means a blocked filter. Clean it as shown on page six, and let it cool first.",
    ),
)


def fill(chance: random.Random, asked: str, answered: str) -> tuple[str, str]:
    """Both sides of a conversation with their slots filled alike."""
    values = {name: chance.choice(words) for name, words in SLOTS.items()}
    values |= {
        "order": f"FW-{chance.randrange(10_000, 99_999)}",
        "code": f"E{chance.randrange(10, 99)}",
        "size": str(chance.randrange(40, 190)),
        "reason_c": values["reason"].capitalize(),
        "carrier_c": values["carrier"][0].upper() + values["carrier"][1:],
    }
    question = asked.format(**values)
    if values["opener"]:
        question = values["opener"] + (
            question if question.startswith("I ") else question[0].lower() + question[1:]
        )
    return question + values["closer"], answered.format(**values)
