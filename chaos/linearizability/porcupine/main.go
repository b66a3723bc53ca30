// Check by porcupine whether a recorded history of a sale is linearizable.
//
//	porcupine-check [-patience 60s] [-picture file.html] history.json
//
// It prints its verdict as one JSON object. Exit codes: 0 there is a verdict, whatever it is; 2 the
// command or the history is not as it must be.
package main

import (
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"sort"
	"time"

	"github.com/anishathalye/porcupine"
)

type verdict struct {
	Result     string  `json:"result"` // ok, illegal, undecided
	Operations int     `json:"operations"`
	Open       int     `json:"open"` // without an answer
	Parts      int     `json:"parts"`
	Offending  int     `json:"offending"` // parts that are not linearizable
	Seconds    float64 `json:"seconds"`
	Sale       int     `json:"sale"`    // of the first that is not
	Last       string  `json:"last"`    // with this answer no order explained all any more
	Shown      int     `json:"shown"`   // operations up to that answer
	Picture    string  `json:"picture"` // of those
}

func main() {
	patience := flag.Duration("patience", time.Minute, "how long to think about each part")
	picture := flag.String("picture", "", "where to draw a part that is not linearizable")
	flag.Parse()
	if flag.NArg() != 1 {
		stop(fmt.Errorf("name one file with a history"))
	}
	found, err := read(flag.Arg(0))
	if err != nil {
		stop(err)
	}
	told, err := found.judge(*patience, *picture)
	if err != nil {
		stop(err)
	}
	if err := json.NewEncoder(os.Stdout).Encode(told); err != nil {
		stop(err)
	}
}

func stop(err error) {
	fmt.Fprintf(os.Stderr, "porcupine-check: %v\n", err)
	os.Exit(2)
}

func (h *history) judge(patience time.Duration, picture string) (*verdict, error) {
	began := time.Now()
	parts := h.parts()
	told := verdict{Result: "ok", Operations: len(h.Operations), Parts: len(parts)}
	for _, op := range h.Operations {
		if op.Return == nil {
			told.Open++
		}
	}
	model := (&sale{h.Operations, h.Stock}).model()
	for _, part := range parts {
		switch porcupine.CheckOperationsTimeout(model, asked(part), patience) {
		case porcupine.Illegal:
			told.Result = "illegal"
			told.Offending++
			if told.Offending == 1 {
				if err := told.show(model, part, patience, picture); err != nil {
					return nil, err
				}
			}
		case porcupine.Unknown:
			if told.Result == "ok" {
				told.Result = "undecided"
			}
		}
	}
	told.Seconds = time.Since(began).Seconds()
	return &told, nil
}

// Find the answer after which no order explains all any more, and draw what was known by then.
func (v *verdict) show(model porcupine.Model, part []*operation, patience time.Duration, picture string) error {
	var answered []*operation
	for _, op := range part {
		if op.Return != nil {
			answered = append(answered, op)
		}
	}
	sort.Slice(answered, func(i, j int) bool { return *answered[i].Return < *answered[j].Return })
	at := sort.Search(len(answered)-1, func(i int) bool {
		known := asked(until(part, *answered[i].Return))
		return porcupine.CheckOperationsTimeout(model, known, patience) == porcupine.Illegal
	})
	known := until(part, *answered[at].Return)
	v.Sale, v.Last, v.Shown = part[0].Sale, describe(answered[at]), len(known)
	if picture == "" {
		return nil
	}
	_, info := porcupine.CheckOperationsVerbose(model, asked(known), patience)
	v.Picture = picture
	return porcupine.VisualizePath(model, info, picture)
}
