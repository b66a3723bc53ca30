package main

import (
	"fmt"
	"sort"
	"strings"

	"github.com/anishathalye/porcupine"
)

// The sale, told in the simplest way: a list of claims that stand, by the number of their hold. A
// claim is held or sold; who names a hold whose claim is not in the list names one that was released.
// Nothing expires: holds outlive the history.

const (
	held = 'H'
	sold = 'S'
)

// An operation, and for a hold the one number by which it is known in the model.
type operation struct {
	Client   int    `json:"client"`
	Sale     int    `json:"sale"`
	Kind     string `json:"kind"`     // hold, release, order, read
	Seats    []int  `json:"seats"`    // that a hold asks for
	Standing int    `json:"standing"` // units of the stock that a hold asks for
	Hold     string `json:"hold"`     // what it was given, or names
	Call     int64  `json:"call"`
	Return   *int64 `json:"return"` // none where nobody knows whether it was ever done
	Answer   string `json:"answer"` // empty where there is no return
	Taken    []int  `json:"taken"`  // seats that stood in the way, as it was told

	number int // in its history; a hold is called by it
	placed *operation
}

// State is a string, which makes it comparable and immutable: four bytes a claim, three of them the
// number of the hold, the last how it stands; ascending.
type state = string

type claim struct {
	number int
	how    byte
}

func claimsOf(s state) []claim {
	claims := make([]claim, 0, len(s)/4+1)
	for i := 0; i < len(s); i += 4 {
		number := int(s[i])<<16 | int(s[i+1])<<8 | int(s[i+2])
		claims = append(claims, claim{number, s[i+3]})
	}
	return claims
}

func stateOf(claims []claim) state {
	sort.Slice(claims, func(i, j int) bool { return claims[i].number < claims[j].number })
	bytes := make([]byte, 0, 4*len(claims))
	for _, c := range claims {
		bytes = append(bytes, byte(c.number>>16), byte(c.number>>8), byte(c.number), c.how)
	}
	return state(bytes)
}

// A sale's model: who looks up a hold by its number needs the history.
type sale struct {
	operations []*operation
	stock      int
}

func (s *sale) model() porcupine.Model {
	return porcupine.Model{
		Init: func() interface{} { return state("") },
		Step: func(before, input, _ interface{}) (bool, interface{}) {
			ok, after := s.step(before.(state), input.(*operation))
			return ok, after
		},
		DescribeOperation: func(input, _ interface{}) string { return describe(input.(*operation)) },
		DescribeState:     func(now interface{}) string { return s.describeState(now.(state)) },
	}
}

// Whether an operation may have been answered as it was, and what it leaves. One without an answer is
// done if it can be, and else leaves everything as it is: at the end of the history, that is never.
func (s *sale) step(before state, op *operation) (bool, state) {
	if op.Kind == "hold" {
		return s.hold(before, op)
	}
	claims := claimsOf(before)
	at := -1
	for i, c := range claims {
		if c.number == op.placed.number {
			at = i
		}
	}
	isOpen := at >= 0 && claims[at].how == held
	isOrdered := at >= 0 && claims[at].how == sold

	switch op.Kind + " " + op.Answer {
	case "release released", "release ":
		if isOpen {
			return true, stateOf(append(claims[:at], claims[at+1:]...))
		}
		return op.Answer == "" || !isOrdered, before // releasing twice is the same as once
	case "order ordered", "order ":
		if isOpen {
			claims[at].how = sold
			return true, stateOf(claims)
		}
		return op.Answer == "", before
	case "release hold_ordered", "order hold_ordered", "read ordered":
		return isOrdered, before
	case "order hold_released", "read released":
		return at < 0, before
	case "read open":
		return isOpen, before
	}
	return false, before // no such answer is right at any time
}

func (s *sale) hold(before state, op *operation) (bool, state) {
	claims := claimsOf(before)
	taken, drawn := map[int]bool{}, 0
	for _, c := range claims {
		for _, seat := range s.operations[c.number].Seats {
			taken[seat] = true
		}
		drawn += s.operations[c.number].Standing
	}
	var inTheWay []int
	for _, seat := range op.Seats {
		if taken[seat] {
			inTheWay = append(inTheWay, seat)
		}
	}
	isShort := drawn+op.Standing > s.stock && op.Standing > 0
	isFree := len(inTheWay) == 0 && !isShort

	switch op.Answer {
	case "held":
		if !isFree {
			return false, before
		}
		return true, stateOf(append(claims, claim{op.number, held}))
	case "seat_taken":
		return len(inTheWay) > 0 && same(inTheWay, op.Taken), before
	case "sold_out":
		return len(inTheWay) == 0 && isShort, before
	case "":
		if isFree {
			return true, stateOf(append(claims, claim{op.number, held}))
		}
		return true, before
	}
	return false, before
}

func same(some, others []int) bool {
	sort.Ints(some)
	others = append([]int(nil), others...)
	sort.Ints(others)
	return fmt.Sprint(some) == fmt.Sprint(others)
}

func describe(op *operation) string {
	asked := fmt.Sprintf("%s of #%d", op.Kind, op.number)
	if op.Kind == "hold" {
		asked = fmt.Sprintf("hold #%d: %s", op.number, wanted(op))
	} else if op.placed != nil {
		asked = fmt.Sprintf("%s #%d", op.Kind, op.placed.number)
	}
	if op.Return == nil {
		return asked + " -> ?"
	}
	if len(op.Taken) > 0 {
		return fmt.Sprintf("%s -> %s %v", asked, op.Answer, op.Taken)
	}
	return fmt.Sprintf("%s -> %s", asked, op.Answer)
}

func wanted(op *operation) string {
	if op.Standing == 0 {
		return fmt.Sprintf("seats %v", op.Seats)
	}
	return fmt.Sprintf("seats %v, %d standing", op.Seats, op.Standing)
}

func (s *sale) describeState(now state) string {
	var lines []string
	for _, c := range claimsOf(now) {
		how := "held"
		if c.how == sold {
			how = "sold"
		}
		lines = append(lines, fmt.Sprintf("#%d: %s %s", c.number, wanted(s.operations[c.number]), how))
	}
	if len(lines) == 0 {
		return "all is free"
	}
	return strings.Join(lines, "; ")
}
