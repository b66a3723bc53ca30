// Who she is; then she waits for her moment to come.
import groovy.json.JsonOutput

SampleResult.setIgnore()  // this is no request
def how = props.get('crowd.how')
def number = ctx.threadNum + 1
def dice = new Random(how.seed * 1000003L + number)
def between = { range -> range[0] + (range[1] - range[0]) * dice.nextDouble() }
def lognormal = { of -> of[0] * Math.exp(of[1] * dice.nextGaussian()) }
def chosen = { weighted ->  // pairs of what, and how many of a hundred
    def left = dice.nextDouble() * weighted.sum { it[1] }
    weighted.find { (left -= it[1]) < 0 }[0]
}
def came = how.moments[number - 1]
def next = how.openings.findIndexOf { came < it[1] }
def opening = next < 0 ? how.openings.size() - 1 : next
def sales = System.getenv('CROWD_SALES').tokenize(',')
def choice = (opening..<sales.size()).step(how.openings.size()).collect { sales[it] }
vars.put('sale', '/v1/sales/' + choice[number % choice.size()])
def dawdles = dice.nextDouble() < how.dawdler_share ? how.dawdling_times : 1
def me = [
    number   : number,
    dice     : dice,
    party    : chosen(how.party_sizes),
    leavesAt : came + (dice.nextDouble() < how.impatient_share ? lognormal(how.patience_s) : 3600),
    refreshS : dice.nextDouble() < how.refresher_share ? between(how.refresh_s) : Double.MAX_VALUE,
    awayAt   : dice.nextDouble() < how.absent_share ? came + between([0, how.absent_within_s]) : Double.MAX_VALUE,
    ending   : chosen(how.endings),
    looksS   : dawdles * lognormal(how.looks_s),
    decidesS : dawdles * lognormal(how.decides_s),
    opensAt  : how.openings[opening][0],
    lookS    : between(how.look_s),
    keys     : 0,
    attempt  : 0,
    givesUpAt: came + how.retryS,
]
vars.putObject('me', me)
['token', 'pass', 'key', 'state_etag', 'look_etag'].each { vars.put(it, '') }
vars.put('step', 'guest')
vars.put('wait_ms', '0')

def opensAt = System.getenv('CROWD_OPENS_AT').toDouble()
def now = { System.currentTimeMillis() / 1000d - opensAt }  // seconds from T0
sleep(Math.max(0, Math.round(1000 * (came - now()))))
props.get('crowd.told').println(JsonOutput.toJson(['came', number, now()]))
