package engine

import (
	"encoding/binary"
	"fmt"
	"hash/crc32"
	"maps"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"regft/cache"

	"google.golang.org/protobuf/encoding/protowire"
)

// boardFolder is the folder of a run that TensorBoard reads: one folder for each node that reports series.
const boardFolder = "tensorboard"

// writeSeries appends a series event to the TensorBoard file of its node, below the run's folder. The file is a
// sequence of TFRecords (length, its CRC, data, its CRC) that hold tensorflow.Event messages.
func writeSeries(dir string, e Event) error {
	folder := filepath.Join(dir, boardFolder, strings.TrimSuffix(nodePath(e.Stage, e.Name), ".log"))
	path := filepath.Join(folder, "events.out.tfevents.regft")
	var records []byte
	if _, err := os.Stat(path); err != nil {
		if err := os.MkdirAll(folder, 0o777); err != nil {
			return fmt.Errorf("writing for TensorBoard: %w", err)
		}
		records = appendRecord(records, boardEvent(e, boardVersion()))
	}
	records = appendRecord(records, boardEvent(e, boardSummary(e)))
	f, err := os.OpenFile(path, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o666)
	if err != nil {
		return fmt.Errorf("writing for TensorBoard: %w", err)
	}
	defer f.Close()
	if _, err := f.Write(records); err != nil {
		return fmt.Errorf("writing for TensorBoard: %w", err)
	}
	return nil
}

// boardEvent is a tensorflow.Event: wall_time = 1, step = 2, and what it is about.
func boardEvent(e Event, what []byte) []byte {
	b := protowire.AppendTag(nil, 1, protowire.Fixed64Type)
	b = protowire.AppendFixed64(b, math.Float64bits(float64(e.Time.UnixNano())/1e9))
	b = protowire.AppendTag(b, 2, protowire.VarintType)
	b = protowire.AppendVarint(b, uint64(e.Step))
	return append(b, what...)
}

// boardVersion is file_version = 3, which a file begins with.
func boardVersion() []byte {
	return protowire.AppendString(protowire.AppendTag(nil, 3, protowire.BytesType), "brain.Event:2")
}

// boardSummary is summary = 5: repeated value = 1 of tag = 1 and simple_value = 2.
func boardSummary(e Event) []byte {
	var summary []byte
	for _, name := range slices.Sorted(maps.Keys(e.Values)) {
		x, ok := cache.DecodeFloat(e.Values[name])
		if !ok {
			continue
		}
		v := protowire.AppendString(protowire.AppendTag(nil, 1, protowire.BytesType), name)
		v = protowire.AppendFixed32(protowire.AppendTag(v, 2, protowire.Fixed32Type), math.Float32bits(float32(x)))
		summary = protowire.AppendBytes(protowire.AppendTag(summary, 1, protowire.BytesType), v)
	}
	return protowire.AppendBytes(protowire.AppendTag(nil, 5, protowire.BytesType), summary)
}

// appendRecord frames data as a TFRecord.
func appendRecord(b, data []byte) []byte {
	length := binary.LittleEndian.AppendUint64(nil, uint64(len(data)))
	b = append(b, length...)
	b = binary.LittleEndian.AppendUint32(b, maskedCRC(length))
	b = append(b, data...)
	return binary.LittleEndian.AppendUint32(b, maskedCRC(data))
}

// maskedCRC is CRC-32C, rotated and shifted so that the CRC of data with CRCs in it stays good.
func maskedCRC(b []byte) uint32 {
	c := crc32.Checksum(b, crc32.MakeTable(crc32.Castagnoli))
	return (c>>15 | c<<17) + 0xa282ead8
}
