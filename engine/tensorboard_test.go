package engine

import (
	"encoding/binary"
	"math"
	"os"
	"path/filepath"
	"testing"
	"time"

	"google.golang.org/protobuf/encoding/protowire"
)

// TestSeriesForTensorBoard reads back what a training's series leaves, as TensorBoard does.
func TestSeriesForTensorBoard(t *testing.T) {
	dir := t.TempDir()
	at := time.Unix(1700000000, 500000000).UTC()
	for step, loss := range []any{2.5, "NaN", 1.25} {
		if err := writeSeries(dir, Event{Time: at, Kind: NodeSeries, Name: "tuned[draw=0]", Stage: "tuned", Step: step, Values: map[string]any{"loss": loss, "rate": 0.5}}); err != nil {
			t.Fatal(err)
		}
	}
	path := filepath.Join(dir, "tensorboard", "tuned", "%5Bdraw=0%5D", "events.out.tfevents.regft")
	content, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	var losses []float32
	events := 0
	for len(content) > 0 {
		size := binary.LittleEndian.Uint64(content)
		data := content[12 : 12+size]
		equal(t, "CRC of a length", binary.LittleEndian.Uint32(content[8:]), maskedCRC(content[:8]))
		equal(t, "CRC of an event", binary.LittleEndian.Uint32(content[12+size:]), maskedCRC(data))
		losses = append(losses, lossesOf(t, data)...)
		content = content[16+size:]
		events++
	}
	equal(t, "events", events, 4)
	if len(losses) != 3 || losses[0] != 2.5 || !math.IsNaN(float64(losses[1])) || losses[2] != 1.25 {
		t.Errorf("losses: %v", losses)
	}
	equal(t, "the CRC of 123456789, masked", maskedCRC([]byte("123456789")), uint32(0xc78ab0e5))
}

// lossesOf finds summary.value.simple_value where the tag is loss.
func lossesOf(t *testing.T, event []byte) []float32 {
	t.Helper()
	var out []float32
	for _, summary := range fieldsOf(t, event, 5) {
		for _, v := range fieldsOf(t, summary, 1) {
			if tag := fieldsOf(t, v, 1); len(tag) == 1 && string(tag[0]) == "loss" {
				out = append(out, math.Float32frombits(binary.LittleEndian.Uint32(fieldsOf(t, v, 2)[0])))
			}
		}
	}
	return out
}

// fieldsOf gives the contents of a message's fields with that number.
func fieldsOf(t *testing.T, message []byte, number protowire.Number) [][]byte {
	t.Helper()
	var out [][]byte
	for len(message) > 0 {
		num, kind, n := protowire.ConsumeTag(message)
		m := protowire.ConsumeFieldValue(num, kind, message[n:])
		if n < 0 || m < 0 {
			t.Fatalf("malformed message %x", message)
		}
		value := message[n : n+m]
		if kind == protowire.BytesType {
			value, _ = protowire.ConsumeBytes(value)
		}
		if num == number {
			out = append(out, value)
		}
		message = message[n+m:]
	}
	return out
}
