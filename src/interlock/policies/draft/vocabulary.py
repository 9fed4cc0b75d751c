"""What words of APIs say about effects: verbs by kind, nouns by what is at stake, phrases.

The tables are the whole of what a draft knows. A verb that is in none of them is taken for the
worst; so a word is only added where its meaning is plain in most APIs.
"""

from __future__ import annotations

import enum
import re
from collections.abc import Mapping


class Verb(enum.IntEnum):
    """Kinds of effects, from harmless to grave where nothing else is known."""

    READ = 0  #: plainly reads
    LOOK = 1  #: reads in most APIs
    ADD = 2  #: puts into a set, or switches on what has an opposite
    CREATE = 3
    UPDATE = 4  #: overwrites
    RUN = 5  #: sets something going, or settles it
    LOSS = 6  #: takes away
    SEND = 7  #: reaches people or the outside
    MONEY = 8


def _table(**kinds: str) -> Mapping[str, Verb]:
    return {word: Verb[kind.upper()] for kind, words in kinds.items() for word in words.split()}


VERBS: Mapping[str, Verb] = _table(
    read="""get list read search describe show retrieve fetch find lookup count
    inspect return display""",
    look="""view check query watch preview validate download export explain analyze
    analyse compare diff convert geocode estimate calculate compute browse scan poll
    echo ping print obtain enumerate resolve test monitor tail head peek stat status
    info summarize report log""",
    add="""add archive unarchive lock unlock star unstar follow unfollow enable
    disable mute unmute pin unpin subscribe unsubscribe hide unhide trash untrash
    assign unassign link unlink watchlist favorite unfavorite bookmark like unlike
    associate disassociate tag untag restore undelete attach detach connect
    disconnect join leave block unblock activate deactivate suspend unsuspend pause
    resume start stop grant open close reopen mark unmark label react""",
    create="""create insert new make register generate upload import clone fork copy
    duplicate save instantiate append draft provision prepare branch""",
    update="""update edit modify set patch replace rename move change put configure
    upsert toggle reorder sort adjust alter customize resize scale transition
    refresh sync synchronize migrate store remember complete uncomplete fill select
    type format""",
    run="""run execute write exec eval evaluate invoke trigger launch deploy install
    apply rollback restart reboot upgrade downgrade merge approve deny reject accept
    decline confirm commit push rebase reset revert reply respond manage bulk batch
    process perform do handle submit cancel abort finalize finish expire retry rerun
    redeliver dispatch build click press drop navigate fill hover drag impersonate
    login logout authenticate authorize escalate promote demote failover drain
    cordon attach proxy portforward forward tunnel callback verify schedule ack
    acknowledge consume pop wait dismiss close book reserve checkout claim force
    sign begin init initialize setup initiate enforce simulate spawn signal toggle
    present collect""",
    loss="""delete remove destroy purge erase drop wipe clear truncate prune flush
    empty kill terminate uninstall forget expunge revoke rotate regenerate
    invalidate evict overwrite cleanup clean discard unset uninvite kick ban eject
    dismantle decommission deprovision obliterate del rm rollover repudiate withdraw
    void shred strip unregister deregister unshare anonymize redact detach logout""",
    send="""send post notify publish unpublish tweet broadcast reply forward invite
    share announce email mail message sms dial call emit comment contact page
    upload_public reinvite resend distribute release deliver respond""",
    money="""pay charge refund transfer capture payout withdraw purchase buy order
    sell trade place redeem settle disburse donate bill invoice topup credit debit
    exercise liquidate repay reverse subscribe_paid""",
)

# Words that are nouns at least as often: a verb only where they stand first, or alone.
NOUNS_TOO = frozenset(
    """post comment message call charge order list branch label tag pin star share
    report release request view fork run review transfer refund import export check
    query test reply link file form record log set key lock block group map mark
    note schedule draft email mail page text trigger hook host index state store
    contact visit quote trade buy status info head scan watch read count build
    process batch bulk sign update change merge push commit reset command install
    bill invoice credit debit place present copy move close open start stop type
    format filter sort tail resume display return book reserve print capture attach
    archive template sync diff job new like follow mute subscribe search find
    connect exercise claim register signal callback checkout setup sms forward deny
    reject approve upgrade init proxy portforward dial payout withdraw purchase
    watchlist favorite bookmark""".split()
)

# What only reads, whoever calls it: not so `list` (for sale), `show` (a house), `return` (a book).
SEARCHES = frozenset("search find lookup count".split())
# Verbs of which a description has to say that data come back, and not a thing or a person.
ALSO_ACTS = frozenset(
    "return fetch list show display retrieve inspect check view count print scan watch log".split()
)
# Those of them that the name of a tool may have for what a thing undergoes.
MAY_OFFER = frozenset("return fetch list show display retrieve".split())
# Verbs that do not say what a POST or a PUT does.
MAY_BE_ANYTHING = frozenset("return fetch list show view check get issue draw hold file".split())
PAGING = frozenset(
    """query q filter filters search page_size pagesize page_token pagetoken per_page cursor
    start_cursor max_results maxresults order_by orderby""".split()
)

OPPOSITES: Mapping[str, tuple[str, ...]] = {
    "add": ("remove", "delete"),
    "archive": ("unarchive", "restore"),
    "unarchive": ("archive",),
    "lock": ("unlock",),
    "unlock": ("lock",),
    "star": ("unstar",),
    "unstar": ("star",),
    "follow": ("unfollow",),
    "unfollow": ("follow",),
    "enable": ("disable",),
    "disable": ("enable",),
    "mute": ("unmute",),
    "unmute": ("mute",),
    "pin": ("unpin", "remove"),
    "unpin": ("pin",),
    "subscribe": ("unsubscribe",),
    "unsubscribe": ("subscribe",),
    "hide": ("unhide", "show"),
    "unhide": ("hide",),
    "trash": ("untrash", "restore"),
    "untrash": ("trash",),
    "restore": ("delete", "trash", "archive"),
    "assign": ("unassign",),
    "unassign": ("assign",),
    "link": ("unlink",),
    "unlink": ("link",),
    "associate": ("disassociate",),
    "disassociate": ("associate",),
    "favorite": ("unfavorite",),
    "unfavorite": ("favorite",),
    "like": ("unlike",),
    "unlike": ("like",),
    "tag": ("untag",),
    "untag": ("tag",),
    "label": ("unlabel",),
    "create": ("delete", "remove", "destroy"),
    "insert": ("delete", "remove"),
    "register": ("deregister", "unregister", "delete"),
    "upload": ("delete", "remove"),
    "import": ("delete", "remove"),
    "watch": ("stop", "unwatch"),
    "new": ("delete", "remove"),
    "save": ("delete", "remove"),
}
# These stop or expose something meanwhile, so that the opposite does not take everything back.
DISRUPTIVE: Mapping[str, tuple[str, ...]] = {
    "start": ("stop",),
    "stop": ("start",),
    "pause": ("resume", "unpause"),
    "resume": ("pause",),
    "suspend": ("unsuspend", "resume", "activate"),
    "unsuspend": ("suspend",),
    "block": ("unblock",),
    "unblock": ("block",),
    "activate": ("deactivate",),
    "deactivate": ("activate",),
    "attach": ("detach",),
    "detach": ("attach",),
    "connect": ("disconnect",),
    "disconnect": ("connect",),
    "join": ("leave",),
    "leave": ("join",),
    "grant": ("revoke",),
    "install": ("uninstall",),
    "open": ("close",),
    "close": ("reopen", "open"),
    "cordon": ("uncordon",),
    "deploy": ("rollback",),
    "publish": ("unpublish",),
    "share": ("unshare",),
    "remove": ("add",),
}
RESTORES = ("restore", "undelete", "untrash", "recover", "unarchive")
COMPENSATES: Mapping[str, tuple[str, ...]] = {
    "charge": ("refund", "reverse"),
    "capture": ("refund", "reverse"),
    "pay": ("refund", "reverse"),
    "create": ("refund", "reverse", "void", "cancel"),
    "place": ("cancel", "refund"),
    "order": ("cancel", "refund"),
    "book": ("cancel",),
    "reserve": ("cancel", "release"),
    "transfer": ("reverse",),
    "schedule": ("cancel", "unschedule"),
}

SECRETS = frozenset(
    """secret secrets credential credentials password passwords token tokens apikey
    apikeys key keys passphrase certificate certificates signing pin otp mfa env
    environment payroll ssn iban card cards salary kubeconfig""".split()
)
PERSONAL = frozenset(
    """user users customer customers person people contact contacts email emails
    message messages mail file files document documents drive payment payments
    invoice invoices order orders account accounts employee employees member members
    patient thread threads conversation conversations channel transcript recording
    recordings history transaction transactions balance bank address addresses
    profile attachment attachments calendar event events page pages note notes""".split()
)
AUTHORED = frozenset(
    """email emails message messages mail comment comments issue issues ticket
    tickets page pages web url thread threads conversation conversations review
    reviews file files document documents content contents article attachment
    attachments html transcript replies feed news post posts note notes pull""".split()
)
POWER = frozenset(
    """permission permissions role roles rolebinding rolebindings clusterrole acl
    acls policy policies grant grants user users collaborator collaborators admin
    admins owner owners org organization organizations organisation team teams
    enterprise security saml sso firewall network webhook
    webhooks hook hooks protection membership memberships access key keys token
    tokens secret secrets credential credentials delegate delegates forwarding
    domain domains dns namespace namespaces cluster node nodes account accounts""".split()
)
# Members of these hold rights by being members; those of a library or a gym do not.
MEMBERS = frozenset("member members".split())
GOVERNED = frozenset(
    """permission permissions role roles acl admin admins owner owners org orgs organization
    organizations organisation organisations team teams enterprise security group groups project
    projects workspace workspaces repo repos repository board boards
    portfolio portfolios channel channels account accounts access iam""".split()
)
PRODUCTION = frozenset("production prod live".split())
MONEY = frozenset(
    """charge charges payment payments payout payouts transfer transfers refund
    refunds order orders trade trades withdrawal withdrawals topup topups purchase
    purchases position positions locate locates invoice invoices subscription
    subscriptions quote checkout billing""".split()
)
MESSAGES = frozenset(
    """message messages email emails mail mails sms call calls invite invites
    invitation invitations notification notifications announcement tweet broadcast
    send sends singlesend campaign fax participant participants validation siprec
    reminder voice conference""".split()
)
# What does something, or lets something through, for as long as it is there.
LIVE = frozenset(
    """webhook webhooks hook hooks delegate delegates forwarding service services container
    containers plugin plugins function functions share shares sharing collaboration
    collaborations link links""".split()
)
JOBS = frozenset(
    """job jobs run runs execution executions exec command commands build builds
    deployment deployments pipeline pipelines workflow workflows task_run action
    actions dispatch dispatches script query statement batch console release
    releases commit commits session sessions""".split()
)
TALK = frozenset(
    """comment comments review reviews reply replies issue issues ticket tickets
    discussion discussions announcement updates event events post posts pull
    merge reaction_public user users member members collaborator collaborators guest
    guests attendee attendees account accounts person people subscriber employee
    reservation booking bookings agreement""".split()
)
ENDLESS = frozenset("all bulk batch collection recursive every everything many multiple".split())

# Parameters in which whole programs come: what they do is not known before they are read.
PROGRAMS = frozenset(
    """sql command cmd code script expression javascript js shell program
    query_string raw_query statement statements args argv manifest pagefunction
    function""".split()
)
ACTIONS = frozenset("action actions operation op _method subcommand".split())
QUERIES = frozenset("sql command cmd raw_query statement shell".split())
RECIPIENTS = frozenset(
    """to recipient recipients channels cc bcc attendees invitees sendupdates
    sendnotifications send_email notify send_notification sendinvitations
    guestscansee""".split()
)
PLACES = frozenset(
    """url urls webhook webhook_url callback callback_url callbackurl uri endpoint
    remote forward_to statuscallback""".split()
)
HARD = frozenset("permanent permanently hard force purge".split())

GRAVE = re.compile(
    r"""\b(?:permanent(?:ly)? | irrevers\w+ | irrevocabl\w+ | un-?recoverable | non-?recoverable
    | (?:can(?:not|'t|\ not)|could\ not)\ be\ (?:undone|reversed|recovered|restored|reverted)
    | will\ be\ lost | no\ undo | all\ (?:of\ )?its\ (?:contents|data) | completely\ overwrite
    | overwrites?\ (?:the\ )?existing | without\ warning )\b""",
    re.IGNORECASE | re.VERBOSE,
)
TELLS = re.compile(
    r"""\b(?:send(?:s|ing)?\ (?:an?\ |the\ |out\ )?(?:\w+\ )?(?:e-?mails?|messages?|notifications?
    |invit\w+|sms|texts?) | (?:e-?mail|notification|invitation|message)s?\ (?:is|are|will\ be)\ sent
    | trigger(?:s|ing)?\ (?:\[)?(?:an?\ )?(?:e-?mail\ )?notifications? | notif(?:y|ies|ying)\ )""",
    re.IGNORECASE | re.VERBOSE,
)
EATS = re.compile(
    r"\bconsumer group\b|\bconsum(?:es?|ing) (?:\w+ ){0,2}(?:messages?|events?|entries|items?)\b"
    r"|\bmark(?:s|ed)? (?:\w+ ){0,3}as (?:read|seen)\b",
    re.IGNORECASE,
)
OVERWRITES = re.compile(
    r"\b(?:or|and) (?:update|replace|overwrite|modify|edit|upsert|change)s?\b", re.IGNORECASE
)
SOFT = re.compile(
    r"\b(?:to (?:the )?trash|soft[- ]delet\w+|can be (?:restored|recovered|undeleted)|recycle bin"
    r"|archives? (?:the|a|an)\b|moves? .{0,40}\btrash)",
    re.IGNORECASE,
)
DATA = re.compile(
    r"""\b(?:lists?|listing|details?|info(?:rmation)?|data|results?|records?|metadata|contents?
    |range|statistics|stats|status|metrics|summary|state|structure|schema|tree|history|values?|numbers?
    |counts?|text|matching|available|existing|all|every|ids?|names?|urls?|internet|web|json|if
    |whether|current|latest|recent|files?|director(?:y|ies)
    |messages?|emails?|logs?|propert(?:y|ies)|attributes?|keys?)\b""",
    re.IGNORECASE | re.VERBOSE,
)
LISTING = re.compile(
    r"\b(?:returns?|retrieves?|gets?|lists?) (?:an? |the |all )?(?:[\w()-]+ ){0,4}"
    r"(?:list|page|collection|details|results|metrics|statistics|metadata) (?:of|for|about)\b",
    re.IGNORECASE,
)
PHRASAL = re.compile(
    r"\b(?:check|log|sign|scan|clock|print|show|read|list|get|fetch)s? (?:in|out|off|back)\Z"
    r"|\b(?:check|clock|sign)s? (?:in|out|off)\b"
    r"|\b(?:check|log|sign|scan|clock)s? (?:\w+ ){1,3}(?:in|out|off)\Z",
)
