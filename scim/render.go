package scim

import (
	"bytes"
	"encoding/json"
	"net/http"
	"strconv"
	"time"

	"github.com/matomo-scim/bridge/internal/directory"
	"github.com/matomo-scim/bridge/internal/web"
	"github.com/matomo-scim/bridge/scim/schema"
)

// The directory keeps documents in the very form in which they are sent, without
// what is kept beside them. A whole resource is therefore put together from
// bytes; only a projection takes the document apart.

// view is how resources are shown to one request.
type view struct {
	base       string // URL of the base path
	projection schema.Projection
}

// view reads the projection of a request.
func (h *handler) view(r *http.Request, rt *schema.ResourceType) (view, error) {
	q, err := query(r)
	if err != nil {
		return view{}, err
	}
	return view{base: h.baseURL(r), projection: projection(rt, q)}, nil
}

// meta is what RFC 7643 section 3.1 wants to know of every resource.
type meta struct {
	kind, location    string
	created, modified time.Time
	version           int64
}

// document is the same as a part of a document.
func (m meta) document() map[string]any {
	return map[string]any{
		"resourceType": m.kind, "created": m.created.Format(directory.TimeFormat),
		"lastModified": m.modified.Format(directory.TimeFormat), "location": m.location, "version": etag(m.version),
	}
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

// text writes a JSON string.
func text(b *bytes.Buffer, s string) {
	data, _ := json.Marshal(s) //nolint:errchkjson // a string always encodes
	b.Write(data)
}

// splice writes the beginning of a resource: id, the stored document, meta; the
// closing brace is left to the caller.
func splice(b *bytes.Buffer, id string, document []byte, m meta) {
	b.WriteString(`{"id":"`)
	b.WriteString(id)
	b.WriteString(`",`)
	b.Write(document[1 : len(document)-1])
	b.WriteByte(',')
	m.append(b)
}

// encode writes a document as it is.
func encode(b *bytes.Buffer, doc schema.Document) error {
	enc := json.NewEncoder(b)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(doc); err != nil {
		return err
	}
	b.Truncate(b.Len() - 1) // Encode ends with a line feed
	return nil
}

// userMeta is the meta of a user.
func (v view) userMeta(u directory.User) meta {
	return meta{kind: "User", location: v.base + "/Users/" + u.ID, created: u.Created, modified: u.Modified, version: u.Version}
}

// user writes a user.
func (v view) user(b *bytes.Buffer, u directory.User) error {
	m := v.userMeta(u)
	// The slow way, for the few who ask for a part.
	if v.projection.Given() {
		doc, err := u.Decode()
		if err != nil {
			return err
		}
		doc["id"], doc["meta"] = u.ID, m.document()
		if len(u.Groups) > 0 {
			groups := make([]any, len(u.Groups))
			for i, g := range u.Groups {
				groups[i] = map[string]any{"value": g.ID, "$ref": v.base + "/Groups/" + g.ID, "display": g.Name, "type": "direct"}
			}
			doc["groups"] = groups
		}
		return encode(b, v.projection.Apply(doc))
	}
	// The fast way: what is stored goes out as it is.
	splice(b, u.ID, u.Document, m)
	for i, g := range u.Groups {
		if i == 0 {
			b.WriteString(`,"groups":[`)
		} else {
			b.WriteByte(',')
		}
		b.WriteString(`{"value":"` + g.ID + `","$ref":`)
		text(b, v.base+"/Groups/"+g.ID)
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

// groupMeta is the meta of a group.
func (v view) groupMeta(g directory.Group) meta {
	return meta{kind: "Group", location: v.base + "/Groups/" + g.ID, created: g.Created, modified: g.Modified, version: g.Version}
}

// group writes a group without members, up to its closing brace.
func (v view) group(b *bytes.Buffer, g directory.Group) error {
	m := v.groupMeta(g)
	if !v.projection.Given() {
		splice(b, g.ID, g.Document, m)
		return nil
	}
	doc, err := g.Decode()
	if err != nil {
		return err
	}
	doc["id"], doc["meta"] = g.ID, m.document()
	if err := encode(b, v.projection.Apply(doc)); err != nil {
		return err
	}
	b.Truncate(b.Len() - 1) // the closing brace; id and schemas are always there
	return nil
}

// member writes one member of a group, as far as it is wanted; it writes nothing
// when nothing of it is.
func (v view) member(b *bytes.Buffer, m directory.Member) error {
	ref := v.base + "/" + string(m.Kind) + "s/" + m.ID
	if v.projection.Given() {
		one := map[string]any{"value": m.ID, "$ref": ref, "type": string(m.Kind), "display": m.Display}
		list, _ := v.projection.Apply(schema.Document{"members": []any{one}})["members"].([]any)
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

// send answers with the JSON in b.
func send(w http.ResponseWriter, status int, b *bytes.Buffer) error {
	header := w.Header()
	header.Set("Content-Type", ContentType)
	header.Set("Content-Length", strconv.Itoa(b.Len()))
	w.WriteHeader(status)
	_, err := w.Write(b.Bytes())
	return err
}

// sendDocument answers with a document.
func sendDocument(w http.ResponseWriter, doc schema.Document) error {
	b := buffer()
	defer release(b)
	if err := encode(b, doc); err != nil {
		return err
	}
	return send(w, http.StatusOK, b)
}

// listHead writes a ListResponse (RFC 7644 section 3.4.2) up to the first of its
// resources.
func listHead(b *bytes.Buffer, total, start, count int) {
	b.WriteString(`{"schemas":["` + schema.ListResponseURN + `"],"totalResults":` + strconv.Itoa(total) +
		`,"startIndex":` + strconv.Itoa(start) + `,"itemsPerPage":` + strconv.Itoa(count) + `,"Resources":[`)
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
