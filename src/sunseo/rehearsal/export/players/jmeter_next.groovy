// What she does next: decided from the answer, which is written to the log first.
import groovy.json.JsonOutput
import groovy.json.JsonSlurper

def me = vars.getObject('me')
def how = props.get('crowd.how')
def step = vars.get('step')
def opensAt = System.getenv('CROWD_OPENS_AT').toDouble()
def now = { System.currentTimeMillis() / 1000d - opensAt }  // seconds from T0
def tell = { Object... what -> props.get('crowd.told').println(JsonOutput.toJson(what)) }
def between = { low, high -> low + (high - low) * me.dice.nextDouble() }
def jitter = { between(1.0, 1.3) }  // of every wait that the server names

// The answer: its status, what it tells, and its outcome, which is the problem document's if there is one.
def status = prev.responseCode.isInteger() ? prev.responseCode.toInteger() : 0
def header = { name ->
    def line = prev.responseHeaders.readLines().find { it.toLowerCase().startsWith(name + ':') }
    line?.substring(name.size() + 1)?.trim()
}
def told = [:]
try {
    if (prev.responseData.length) told = new JsonSlurper().parse(prev.responseData, 'UTF-8')
} catch (ignored) {
    told = [outcome: 'no_problem_document']
}
def outcome = status == 0 ? 'no_answer' : status < 400 ? status.toString() : told.outcome ?: 'unknown'
def retryAfter = header('retry-after')
def isShed = status == 503 && retryAfter
prev.successful = status > 0 && (status < 500 || isShed)
tell('answered', me.number, step, status, outcome, now(), prev.time)

// Ways on.
def go = { String next, double seconds = 0 ->
    me.givesUpAt = now() + seconds + how.retryS
    vars.put('step', next)
    vars.put('wait_ms', Math.max(0, Math.round(1000 * seconds)).toString())
}
def gone = { String reason ->
    tell('gone', me.number, reason, now())
    vars.put('step', 'gone')
}
def onward = {  // a pause while inside, keeping the pass alive
    if (me.renewAt < me.stayUntil) go('renew', me.renewAt - now())
    else go(me.afterStay, me.stayUntil - now())
}
def stay = { double seconds, String next ->
    if (!how.hasRoom) return go(next, seconds)  // there is no pass to be kept alive
    me.stayUntil = now() + seconds
    me.afterStay = next
    onward()
}
def newKey = {  // one for each intent, kept for all its retries
    me.keys += 1
    vars.put('key', 'visitor-' + me.number + '-' + me.keys)
}
def products = { what -> what.products.collect { [it.product, it.quantity] } }
def leaveAs = { String reason ->
    if (!how.hasRoom) return gone(reason)  // there is no slot to be given back
    me.reason = reason
    go('leave')
}
def enterAgain = { String next ->  // her pass ran out while the server was slow; her place still counts
    tell('lapsed', me.number)
    me.afterEnter = next
    go('enter')
}
def fault = {
    tell('fault', me.number, step, status, outcome, now())
}
def refused = {  // there is nothing she could do with such an answer
    if (status < 500) fault()
    gone('refused')
}
def pollAfterS = { state, ahead, nowMs ->  // how soon to ask again: a part of the time still to wait
    def poll = state.poll
    def speed = state.speed ? state.speed.v50 : 0
    def after
    if (state.phase == 'before' && state.opens_at != null) after = (state.opens_at - nowMs) / 1000 / poll.divisor
    else if (ahead == null) after = state.halted == 'draw_due' ? 5 : poll.ceiling / 4
    else if (ahead <= 0) after = 0
    else if (speed) after = ahead / speed / poll.divisor
    else after = Math.min(ahead / poll.divisor as double, poll.ceiling / 4 as double)
    if (state.phase == 'paused') after = Math.max(after as double, poll.ceiling / 2 as double)
    Math.min(poll.ceiling as double, Math.max(poll.floor as double, after as double))
}

// Not answered, or told to come later: the very same request again.
if (status >= 500 && !isShed) fault()
if (status in [0, 429, 503]) {
    def wait = Math.min(30, (retryAfter ?: '0.25').toDouble()) * jitter()
    if (now() + wait > me.givesUpAt) {
        tell('fault', me.number, step, 0, 'gave_up', now())
        gone('gave_up')
    } else {
        vars.put('wait_ms', Math.round(1000 * wait).toString())
    }
    return
}
if (now() > how.stopAt) {
    vars.put('step', 'gone')  // sent home: without a line, she counts as still there
    return
}

def isGood = status in 200..299
switch (step) {
    case 'guest':
        if (!isGood) return refused()
        vars.put('token', told.token)
        tell('known', me.number, told.person)
        return go(how.hasRoom ? 'nonce' : 'look')

    case 'nonce':
        if (!isGood) return refused()
        vars.put('nonce', told.nonce)
        me.askedAt = now()
        return go('join')

    case 'join':
        if (outcome in ['room_closed', 'not_yet']) return gone(outcome)
        if (!isGood) return refused()
        me.place = told.number
        vars.put('place', told.place)
        tell('placed', me.number, told.epoch, told.number, me.askedAt, now())
        return go('state', told.poll_after_s * jitter())

    case 'state':
        if (status == 200) {
            me.state = told
            vars.put('state_etag', header('etag') ?: '')
        } else if (status != 304) {
            return refused()
        }
        if (now() >= me.awayAt) return gone('stayed_away')
        if (me.state.sold_out) return gone('sold_out')
        if (me.state.phase == 'closed') return gone('room_closed')
        def isCalled = me.place <= me.state.serving && me.state.phase in ['open', 'draining']
        if (isCalled && me.awayAt == Double.MAX_VALUE) {
            me.afterEnter = 'look'
            return go('enter')
        }
        if (now() >= me.leavesAt) return gone('impatient')
        return go('state', Math.min(pollAfterS(me.state, me.place - me.state.serving, me.state.now) * jitter(), me.refreshS))

    case 'enter':
        if (status in [200, 201]) {
            vars.put('pass', told.pass)
            me.renewAt = now() + told.renew_after_s
            tell('entered', me.number, me.place, me.state.serving, now())
            if (me.afterEnter != 'look' || me.hasLooked) return go(me.afterEnter)
            me.hasLooked = true
            return stay(me.looksS, 'look')
        }
        if (outcome in ['session_over', 'room_closed']) return gone(outcome)
        if (status == 202 || outcome == 'not_served') return go('enter', (told.poll_after_s ?: 1) * jitter())
        return refused()

    case 'renew':
        if (outcome == 'pass_expired') return enterAgain(me.afterStay)
        if (outcome == 'session_over') return gone(outcome)
        if (!isGood) return refused()
        vars.put('pass', told.pass)
        me.renewAt = now() + told.renew_after_s
        return onward()

    case 'look':
        if (status == 200) {
            me.view = told
            vars.put('look_etag', header('etag') ?: '')
        } else if (status != 304) {
            return refused()
        }
        if (!how.hasRoom && now() < me.opensAt) {  // she looks now and then, until it is time
            if (now() >= me.leavesAt) return gone('impatient')
            return go('look', Math.min(me.lookS * jitter(), me.opensAt - now()))
        }
        if (!how.hasRoom && !me.hasLooked) {
            me.hasLooked = true
            return stay(me.looksS, 'look')
        }
        def states = how.hasSeats ? me.view.occasions[0].states : ''
        def free = how.hasSeats
            ? how.map.findAll { states[it[0]] == '0' }.collect { it[1] }
            : me.view.stocks.findAll { it.free > 0 }.collect { it.stock }
        def isHeld = states.contains('1') || me.view.stocks.any { it.held > 0 }
        if (free.isEmpty()) {  // waiting a while for what others let go of
            me.waitsUntil = me.waitsUntil ?: now() + how.returns_patience_s
            if (!isHeld || now() >= me.waitsUntil) return leaveAs('found_nothing')
            return stay(between(*how.returns_s), 'look')
        }
        me.waitsUntil = null
        def pickSeats = {  // neighbours among the favourites; after a refusal, further off
            def few = Math.max(how.favourites, free.size().intdiv(how.favourites_part))
            def favourites = few << Math.min(me.attempt, 10)
            def first = me.dice.nextInt(Math.min(Math.max(1, free.size() - me.party + 1), favourites))
            [seats: free.drop(first).take(me.party)]
        }
        def pickProduct = {  // one of the first; after a refusal, further off. It has the number of its stock
            def favourites = how.favourites << Math.min(me.attempt, 10)
            def product = free[me.dice.nextInt(Math.min(free.size(), favourites))]
            [products: [[product: product, quantity: me.party]]]
        }
        vars.put('claim', JsonOutput.toJson(how.hasSeats ? pickSeats() : pickProduct()))
        newKey()
        return go('hold')

    case 'hold':
        if (how.hasSeats && outcome == 'seat_taken') {  // lost it to somebody: look for others
            me.attempt += 1
            return go('look')
        }
        if (!how.hasSeats && outcome == 'sold_out') {  // what is shown as free is a moment old
            me.attempt += 1
            return stay(between(*how.again_s), 'look')
        }
        if (outcome == 'sale_not_open') return stay(between(*how.returns_s), 'look')
        if (how.hasRoom && outcome == 'pass_required') return enterAgain('look')
        if (!isGood) return refused()
        tell('held', me.number, told.hold, told.seats, products(told))
        if (told.state != 'open') return go('look')
        if (me.ending == 'vanishes') return gone('vanished')
        vars.put('hold', told.hold)
        newKey()
        def seconds = me.hasDecided ? 0 : me.decidesS
        me.hasDecided = true
        if (me.ending == 'releases') return stay(seconds, 'release')
        return stay(seconds, 'order')

    case 'order':
        if (outcome == 'hold_expired') return go('look')  // it had run out: choose again
        if (!isGood) return refused()
        tell('ordered', me.number, told.order, vars.get('hold'), told.seats, now(), false, products(told))
        return gone('bought')

    case 'release':
        if (!isGood && outcome != 'hold_expired') return refused()
        return leaveAs('released')

    case 'leave':
        if (!isGood) return refused()
        tell('left', me.number, me.place)
        return gone(me.reason)
}
