// Package engine plans, executes and records what a spec asks for.
//
//	NewPlan  Expansion → Plan    equal instances become one Node: a hit, work, or work that may be spared
//	Run      Plan → Summary      for each node: key → lock → result? → execute → put
//	Create   Plan → Record       runs/NAME/RUN_ID, fed by the events of Run
//	OpenRun  folder → Past       what a run left, read back
//
// The one invariant: a result stands for a node only under the node's key, a text of all that the result depends on
// (docs/spec.md, "Keys"). Names, places, order, time and machine are in no key.
package engine
