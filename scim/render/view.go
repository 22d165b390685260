package render

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"strconv"
	"time"

	"github.com/matomo-scim/bridge/internal/directory"
	"github.com/matomo-scim/bridge/internal/web"
	"github.com/matomo-scim/bridge/scim/schema"
)

// View is how the resources of one type are shown to one request.
type View struct {
	// Base is the URL of the base path, as the client sees it.
	Base string
	// Projection is what the client asked to see.
	Projection schema.Projection
}

// meta is what RFC 7643 section 3.1 wants to know of every resource.
type meta struct {
	kind, location    string
	created, modified time.Time
	version           int64
}

// append writes `"meta":{…}`.
func (m meta) append(b *bytes.Buffer) {
	b.WriteString(`"meta":{"resourceType":"`)
	b.WriteString(m.kind)
	b.WriteString(`","created":"`)
	b.Write(m.created.AppendFormat(b.AvailableBuffer(), directory.TimeFormat))
	b.WriteString(`","lastModified":"`)
	b.Write(m.modified.AppendFormat(b.AvailableBuffer(), directory.TimeFormat))
	b.WriteString(`","location":`)
	text(b, m.location)
	b.WriteString(`,"version":"W/\"`)
	b.Write(strconv.AppendInt(b.AvailableBuffer(), m.version, 10))
	b.WriteString(`\""}`)
}

// splice writes the beginning of a resource: id, the stored document, meta; the
// closing brace is left to the caller. A stored document is an object that is never
// empty, since it names its schemas, and holds neither id nor meta.
func splice(b *bytes.Buffer, id string, document []byte, m meta) {
	b.WriteString(`{"id":"`)
	b.WriteString(id)
	b.WriteString(`",`)
	b.Write(document[1 : len(document)-1])
	b.WriteByte(',')
	m.append(b)
}

// UserLocation is the URL of a user.
func (v View) UserLocation(id string) string { return directory.UserLocation(v.Base, id) }

// GroupLocation is the URL of a group.
func (v View) GroupLocation(id string) string { return directory.GroupLocation(v.Base, id) }

// User writes a user.
func (v View) User(b *bytes.Buffer, u directory.User) error {
	// The slow way, for the few who ask for a part.
	if v.Projection.Given() {
		doc, err := u.Shown(v.Base)
		if err != nil {
			return err
		}
		return encode(b, v.Projection.Apply(doc))
	}
	// The fast way: what is stored goes out as it is.
	splice(b, u.ID, u.Document, meta{"User", v.UserLocation(u.ID), u.Created, u.Modified, u.Version})
	for i, g := range u.Groups {
		if i == 0 {
			b.WriteString(`,"groups":[`)
		} else {
			b.WriteByte(',')
		}
		b.WriteString(`{"value":"` + g.ID + `","$ref":`)
		text(b, v.GroupLocation(g.ID))
		b.WriteString(`,"display":`)
		text(b, g.Name)
		b.WriteString(`,"type":"direct"}`)
	}
	if len(u.Groups) > 0 {
		b.WriteByte(']')
	}
	b.WriteByte('}')
	return nil
}

// groupHead writes a group without members, up to its closing brace.
func (v View) groupHead(b *bytes.Buffer, g directory.Group) error {
	if !v.Projection.Given() {
		splice(b, g.ID, g.Document, meta{"Group", v.GroupLocation(g.ID), g.Created, g.Modified, g.Version})
		return nil
	}
	doc, err := g.Shown(v.Base)
	if err != nil {
		return err
	}
	if err := encode(b, v.Projection.Apply(doc)); err != nil {
		return err
	}
	b.Truncate(b.Len() - 1) // the closing brace; id and schemas are always there
	return nil
}

// member writes one member of a group, as far as it is wanted; it writes nothing
// when nothing of it is. Ten thousand of them are one answer, so the usual case is
// put together without a map.
func (v View) member(b *bytes.Buffer, m directory.Member) error {
	ref := v.Base + "/" + string(m.Kind) + "s/" + m.ID
	if v.Projection.Given() || m.Label != "" {
		one := map[string]any{"value": m.ID, "$ref": ref, "type": string(m.Kind), "display": m.Display}
		// What the client itself said about the member comes back as it was.
		if m.Label != "" {
			if err := json.Unmarshal([]byte(m.Label), &one); err != nil {
				return fmt.Errorf("label of a member: %w", err)
			}
		}
		list, _ := v.Projection.Apply(schema.Document{"members": []any{one}})["members"].([]any)
		for _, part := range list {
			if doc, ok := part.(map[string]any); ok {
				return encode(b, doc)
			}
		}
		return nil
	}
	b.WriteString(`{"value":"` + m.ID + `","$ref":`)
	text(b, ref)
	b.WriteString(`,"type":"` + string(m.Kind) + `","display":`)
	text(b, m.Display)
	b.WriteByte('}')
	return nil
}

// Members reads the members of a group, as directory.Store.Members does.
type Members func(ctx context.Context, groupID string, fn func(directory.Member) error) error

// streamChunk is how much of an answer is collected before it is sent. A group
// without many members is one piece.
const streamChunk = 64 << 10

// Group writes a group, sending on the way to w what has grown large; the rest is
// in b. The head is read before the members: when they change in between, the
// version in the answer is older than its content, and a client that relies on it
// is told so.
func (v View) Group(ctx context.Context, w http.ResponseWriter, b *bytes.Buffer, g directory.Group, members Members) error {
	if err := v.groupHead(b, g); err != nil {
		return err
	}
	if v.Projection.Wants("members") {
		first := true
		err := members(ctx, g.ID, func(m directory.Member) error {
			mark := b.Len()
			if first {
				b.WriteString(`,"members":[`)
			} else {
				b.WriteByte(',')
			}
			start := b.Len()
			if err := v.member(b, m); err != nil {
				return err
			}
			if b.Len() == start { // nothing of it is wanted
				b.Truncate(mark)
				return nil
			}
			first = false
			return flush(w, b)
		})
		if err != nil {
			return err
		}
		if !first {
			b.WriteByte(']')
		}
	}
	b.WriteByte('}')
	return nil
}

// flush writes b to w and empties it, when it holds much.
func flush(w http.ResponseWriter, b *bytes.Buffer) error {
	if b.Len() < streamChunk {
		return nil
	}
	_, err := w.Write(b.Bytes())
	b.Reset()
	return err
}

// SendUser answers with one user.
func (v View) SendUser(w http.ResponseWriter, status int, u directory.User) error {
	b := Buffer()
	defer Release(b)
	if err := v.User(b, u); err != nil {
		return err
	}
	w.Header().Set("ETag", ETag(u.Version))
	return Send(w, status, b)
}

// SendGroup answers with one group, in pieces when it is large.
func (v View) SendGroup(ctx context.Context, w http.ResponseWriter, status int, g directory.Group, members Members) error {
	b := Buffer()
	defer Release(b)
	out := statusWriter{w, status}
	header := w.Header()
	header.Set("Content-Type", ContentType)
	header.Set("ETag", ETag(g.Version))
	if err := v.Group(ctx, out, b, g, members); err != nil {
		return err
	}
	_, err := out.Write(b.Bytes())
	return err
}

// statusWriter sends status with the first bytes that are written.
type statusWriter struct {
	http.ResponseWriter

	status int
}

// Write sends the head first, when that has not been done.
func (w statusWriter) Write(p []byte) (int, error) {
	if !web.Started(w.ResponseWriter) {
		w.WriteHeader(w.status)
	}
	return w.ResponseWriter.Write(p)
}
