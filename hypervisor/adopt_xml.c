/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Theory of operation
 * -------------------
 * libvirt does not support vfio-user, so our device is added by
 * <qemu:commandline>: the argument "-device" and a JSON object whose id begins
 * with "aerostat".  It needs guest RAM that another process can map
 * (<memoryBacking>), no balloon of QEMU's (<memballoon model='none'>), and a
 * process that is started before QEMU: the launcher (aerostat-qemu/), which
 * becomes the <emulator>.
 *
 * The three elements that are replaced move unchanged into our element in
 * <metadata> and are restored from there, so reverting needs only the XML.  No
 * layout is added or removed, so apply and revert give back the same text.
 *
 * libvirt assigns the lowest free PCI slots and does not know of our device.  So
 * the device takes the highest free slot, to avoid conflicts with devices that are
 * plugged in later.  On PCI Express a device on the root complex cannot be
 * unplugged, so ours gets its own root port.
 */
#include "hypervisor/adopt_xml.h"

#include <jansson.h>
#include <stdlib.h>
#include <string.h>

#include "hypervisor/domain_xml.h"
#include "hypervisor/xml_tree.h"

#define QEMU_NAMESPACE "http://libvirt.org/schemas/domain/qemu/1.0"
#define OUR_ID_PREFIX "aerostat"

#define TOP_SLOT 0x1e	 /* on PCI Express, the chipset has slot 0x1f */
#define CHASSIS 250	 /* of our root port; libvirt counts its own from 1 */
#define TIMEOUT_MS 60000 /* for an answer, or QEMU drops the device for good */

/* The elements that are replaced, and kept in our element. */
static const struct {
	const char *name;
	bool is_device;
} replaced[] = {
	{ "memoryBacking", false },
	{ "emulator", true },
	{ "memballoon", true },
};

static xmlNode *find_our_element(xmlNode *root)
{
	return xml_child_ns(xml_child(root, "metadata"), DOMAIN_XML_NAMESPACE, DOMAIN_XML_DEVICE);
}

static xmlNode *add_child(xmlNode *parent, const char *name)
{
	/* Not xmlNewChild(): with NULL that would take the parent's namespace. */
	xmlNode *node = xmlNewDocNode(parent->doc, NULL, (const xmlChar *)name, NULL);

	return xmlAddChild(parent, node);
}

static void set_attribute(xmlNode *node, const char *name, const char *value)
{
	xmlSetProp(node, (const xmlChar *)name, (const xmlChar *)value);
}

static bool is_element(const xmlNode *node)
{
	return node->type == XML_ELEMENT_NODE;
}

/* The next node of the tree below @root, in document order; NULL after the last. */
static xmlNode *find_next_node(xmlNode *node, const xmlNode *root)
{
	if (node->children && is_element(node))
		return node->children;
	while (node != root && !node->next)
		node = node->parent;
	return node == root ? NULL : node->next;
}

char *adopt_xml_emulator(const char *text, GError **error)
{
	g_autoptr(xmlDoc) doc = xml_tree_parse(text, error);

	if (!doc)
		return NULL;
	return xml_content(xml_child(xml_child(xmlDocGetRootElement(doc), "devices"), "emulator"));
}

/* ---- the command line ---- */

static xmlNode *find_next_commandline(xmlNode *node)
{
	while (node && (!is_element(node) || !node->ns ||
			strcmp((const char *)node->ns->href, QEMU_NAMESPACE) ||
			strcmp((const char *)node->name, "commandline")))
		node = node->next;
	return node;
}

static xmlNode *find_next_arg(xmlNode *node)
{
	while (node && (!is_element(node) || strcmp((const char *)node->name, "arg")))
		node = node->next;
	return node;
}

static bool is_our_id(const char *json)
{
	json_auto_t *device = json ? json_loads(json, 0, NULL) : NULL;
	const char *id = json_string_value(json_object_get(device, "id"));

	return id && g_str_has_prefix(id, OUR_ID_PREFIX);
}

/* Whether @arg is the "-device" before one of our devices; *@device is the argument after it. */
static bool match_our_device(xmlNode *arg, xmlNode **device)
{
	g_autofree char *option = xml_attribute(arg, "value");
	g_autofree char *value = NULL;

	*device = find_next_arg(arg->next);
	value = xml_attribute(*device, "value");
	return !g_strcmp0(option, "-device") && is_our_id(value);
}

static void add_qemu_arg(xmlNode *commandline, const char *value)
{
	xmlNode *arg = xmlNewChild(commandline, commandline->ns, (const xmlChar *)"arg", NULL);

	set_attribute(arg, "value", value);
}

/* Takes over @device. */
static void add_device_args(xmlNode *commandline, json_t *device)
{
	char *text = json_dumps(device, JSON_COMPACT);

	add_qemu_arg(commandline, "-device");
	add_qemu_arg(commandline, text);
	free(text);
	json_decref(device);
}

static void remove_our_args(xmlNode *commandline)
{
	xmlNode *next;

	for (xmlNode *node = commandline->children; node; node = next) {
		g_autofree char *name = xml_attribute(node, "name");
		xmlNode *device;

		next = node->next;
		if (!is_element(node))
			continue;
		if (!strcmp((const char *)node->name, "env")) {
			if (name && g_str_has_prefix(name, ADOPT_ENVIRONMENT))
				xml_drop(node);
		} else if (node == find_next_arg(node) && match_our_device(node, &device)) {
			next = device->next;
			xml_drop(device);
			/* The layout between the two stays. */
			xml_drop(node);
		}
	}
}

char *adopt_xml_device(const char *text)
{
	g_autoptr(xmlDoc) doc = xml_tree_parse(text, NULL);
	xmlNode *line = doc ? xmlDocGetRootElement(doc)->children : NULL;

	for (line = find_next_commandline(line); line; line = find_next_commandline(line->next)) {
		for (xmlNode *arg = find_next_arg(line->children); arg;
		     arg = find_next_arg(arg->next)) {
			g_autofree char *value = xml_attribute(arg, "value");

			if (value && is_our_id(value) && strstr(value, "\"" ADOPT_DEVICE_ID "\""))
				return g_steal_pointer(&value);
		}
	}
	return NULL;
}

/* ---- PCI ---- */

struct pci_address {
	unsigned long domain, bus, slot, function;
};

static unsigned long parse_number_attribute(xmlNode *node, const char *name)
{
	g_autofree char *text = xml_attribute(node, name);

	return text ? strtoul(text, NULL, 0) : 0;
}

static bool parse_pci_address(xmlNode *node, struct pci_address *address)
{
	g_autofree char *type = xml_attribute(node, "type");

	if (!is_element(node) || strcmp((const char *)node->name, "address") ||
	    g_strcmp0(type, "pci"))
		return false;
	*address = (struct pci_address){
		.domain = parse_number_attribute(node, "domain"),
		.bus = parse_number_attribute(node, "bus"),
		.slot = parse_number_attribute(node, "slot"),
		.function = parse_number_attribute(node, "function"),
	};
	return true;
}

/* The model of the root of all PCI, "pci-root" or "pcie-root"; NULL when there is none. */
static char *find_pci_root(xmlNode *devices)
{
	for (xmlNode *node = xml_child(devices, "controller"); node;
	     node = xml_find(node->next, "controller")) {
		g_autofree char *type = xml_attribute(node, "type");
		g_autofree char *model = xml_attribute(node, "model");

		if (!g_strcmp0(type, "pci") && parse_number_attribute(node, "index") == 0 &&
		    model && (!strcmp(model, "pci-root") || !strcmp(model, "pcie-root")))
			return g_steal_pointer(&model);
	}
	return NULL;
}

/* The highest slot of the root bus that no device of the domain has; 0 when all are taken. */
static unsigned int find_free_slot(xmlNode *devices)
{
	uint32_t taken = 0;

	for (xmlNode *node = devices; node; node = find_next_node(node, devices)) {
		struct pci_address address;

		if (parse_pci_address(node, &address) && !address.domain && !address.bus &&
		    address.slot <= TOP_SLOT)
			taken |= UINT32_C(1) << address.slot;
	}
	for (unsigned int slot = TOP_SLOT; slot; slot--)
		if (!(taken & UINT32_C(1) << slot))
			return slot;
	return 0;
}

/* Another device of the domain has @node's PCI address. */
static bool is_address_taken(xmlNode *devices, xmlNode *node)
{
	struct pci_address wanted, other;

	if (!parse_pci_address(node, &wanted))
		return false;
	for (xmlNode *at = devices; at; at = find_next_node(at, devices))
		if (at != node && parse_pci_address(at, &other) &&
		    !memcmp(&other, &wanted, sizeof(other)))
			return true;
	return false;
}

/* ---- checks ---- */

#define PINS                                                                                       \
	"pins all of the guest's memory, so that nothing the balloon gives back reaches the host"

static const struct {
	const char *element, *type; /* type NULL: any */
	const char *why;
} obstacles[] = {
	{ "hostdev", "pci", "a host device passed through (<hostdev type='pci'>) " PINS },
	{ "hostdev", "mdev", "a mediated host device (<hostdev type='mdev'>) " PINS },
	{ "interface", "hostdev",
	  "a host device passed through (<interface type='hostdev'>) " PINS },
	{ "interface", "vdpa", "a vDPA device (<interface type='vdpa'>) " PINS },
	{ "disk", "vhostvdpa", "a vDPA device (<disk type='vhostvdpa'>) " PINS },
	{ "disk", "nvme", "an NVMe disk passed through (<disk type='nvme'>) " PINS },
	{ "iommu", NULL,
	  "behind a virtual IOMMU (<iommu>) our device could not reach the guest's "
	  "memory" },
};

static void G_GNUC_PRINTF(2, 3) add_problem(GPtrArray *problems, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	g_ptr_array_add(problems, g_strdup_vprintf(format, args));
	va_end(args);
}

static bool find_device_type(xmlNode *devices, const char *name, const char *type)
{
	for (xmlNode *node = xml_child(devices, name); node; node = xml_find(node->next, name)) {
		g_autofree char *found = xml_attribute(node, "type");

		if (!type || !g_strcmp0(found, type))
			return true;
	}
	return false;
}

static void check_devices(xmlNode *devices, GPtrArray *problems)
{
	g_autofree char *root_bus = find_pci_root(devices);

	for (size_t i = 0; i < G_N_ELEMENTS(obstacles); i++)
		if (find_device_type(devices, obstacles[i].element, obstacles[i].type))
			add_problem(problems, "%s", obstacles[i].why);
	if (!root_bus)
		add_problem(problems, "its machine has no PCI bus, on which our device would be");
	else if (!find_free_slot(devices))
		add_problem(problems, "no slot of its PCI bus is free");
}

/*
 * Our device sees the guest's memory as regions: that of a virtio-mem device with all that may be
 * plugged later, and that of an NVDIMM or pmem device like RAM.
 */
static void check_memory_devices(xmlNode *devices, GPtrArray *problems)
{
	for (xmlNode *node = xml_child(devices, "memory"); node;
	     node = xml_find(node->next, "memory")) {
		g_autofree char *model = xml_attribute(node, "model");

		if (model && (!strcmp(model, "virtio-mem") || !strcmp(model, "nvdimm") ||
			      !strcmp(model, "virtio-pmem")))
			add_problem(problems,
				    "line %ld: our device would take all of <memory model='%s'> "
				    "for the guest's RAM; use <memory model='dimm'> instead",
				    xmlGetLineNo(node), model);
	}
}

/* Finds memory that an attribute of its own makes private, whatever <memoryBacking> says. */
static void check_memory_sharing(xmlNode *root, GPtrArray *problems)
{
	for (xmlNode *node = root; node; node = find_next_node(node, root)) {
		bool is_cell = is_element(node) && !strcmp((const char *)node->name, "cell");
		bool is_memory = is_element(node) && !strcmp((const char *)node->name, "memory");
		const char *name = is_cell ? "memAccess" : "access";
		g_autofree char *access = is_cell || is_memory ? xml_attribute(node, name) : NULL;

		if (!g_strcmp0(access, "private"))
			add_problem(problems,
				    "line %ld: <%s %s='private'> cannot be shared with our "
				    "device; write %s='shared'",
				    xmlGetLineNo(node), node->name, name, name);
	}
}

static void check_commandline(xmlNode *root, GPtrArray *problems)
{
	xmlNode *line = find_next_commandline(root->children);

	for (; line; line = find_next_commandline(line->next)) {
		for (xmlNode *arg = find_next_arg(line->children); arg;
		     arg = find_next_arg(arg->next)) {
			g_autofree char *value = xml_attribute(arg, "value");

			if (value && strstr(value, "virtio-balloon"))
				add_problem(problems,
					    "line %ld: its <qemu:commandline> gives it another "
					    "balloon; remove that",
					    xmlGetLineNo(arg));
		}
	}
}

bool adopt_xml_check(const char *text, GPtrArray *problems)
{
	g_autofree char *unreadable = NULL;
	g_autoptr(xmlDoc) doc = xml_tree_read(text, &unreadable);
	g_autofree char *type = NULL;
	guint had = problems->len;
	xmlNode *root;

	if (!doc) {
		g_ptr_array_add(problems, g_steal_pointer(&unreadable));
		return false;
	}
	root = xmlDocGetRootElement(doc);
	type = xml_attribute(root, "type");
	if (g_strcmp0(type, "kvm") && g_strcmp0(type, "qemu"))
		add_problem(problems,
			    "it is a guest of type '%s', and only QEMU's (kvm, qemu) can "
			    "have our device",
			    type ? type : "");
	if (xml_child(root, "launchSecurity"))
		add_problem(problems, "its memory is encrypted (<launchSecurity>): no device can "
				      "share it");
	check_devices(xml_child(root, "devices"), problems);
	check_memory_devices(xml_child(root, "devices"), problems);
	check_memory_sharing(root, problems);
	check_commandline(root, problems);
	return problems->len == had;
}

/* ---- apply ---- */

/* Makes the memory shared; other settings, such as huge pages, stay. */
static void set_memory_shared(xmlNode *backing)
{
	xmlNode *source = xml_child(backing, "source");
	xmlNode *access = xml_child(backing, "access");
	g_autofree char *type = xml_attribute(source, "type");

	if (g_strcmp0(type, "file"))
		set_attribute(source ? source : add_child(backing, "source"), "type", "memfd");
	set_attribute(access ? access : add_child(backing, "access"), "mode", "shared");
}

/* Moves child @name into @ours, and puts a copy, or a new element, in its place. */
static xmlNode *replace_element(xmlNode *parent, const char *name, xmlNode *ours)
{
	xmlNode *old = xml_child(parent, name);
	xmlNode *copy;

	if (!old)
		return add_child(parent, name);
	copy = xmlCopyNode(old, 1);
	xmlReplaceNode(old, copy);
	xmlAddChild(ours, old);
	return copy;
}

static xmlNode *clear_element(xmlNode *node)
{
	while (node->children)
		xml_drop(node->children);
	while (node->properties)
		xmlRemoveProp(node->properties);
	return node;
}

/* Adds our element, and <metadata> if necessary; @created receives what revert has to remove. */
static xmlNode *add_our_element(xmlNode *root, const char *control, GString *created)
{
	xmlNode *metadata = xml_child(root, "metadata");
	xmlNode *ours;

	if (!metadata) {
		metadata = add_child(root, "metadata");
		g_string_append(created, "metadata ");
	}
	ours = add_child(metadata, DOMAIN_XML_DEVICE);
	xmlSetNs(ours, xmlNewNs(ours, (const xmlChar *)DOMAIN_XML_NAMESPACE,
				(const xmlChar *)"aerostat"));
	set_attribute(ours, "control", control);
	return ours;
}

static xmlNode *add_commandline(xmlNode *root, GString *created)
{
	xmlNode *line = find_next_commandline(root->children);

	if (line)
		return line;
	line = add_child(root, "commandline");
	xmlSetNs(line, xmlNewNs(line, (const xmlChar *)QEMU_NAMESPACE, (const xmlChar *)"qemu"));
	g_string_append(created, "commandline ");
	return line;
}

static json_t *make_device_json(const char *driver, const char *id, const char *bus)
{
	return json_pack("{s:s, s:s, s:s}", "driver", driver, "id", id, "bus", bus);
}

static void add_our_devices(xmlNode *line, xmlNode *devices, const char *socket)
{
	g_autofree char *root_bus = find_pci_root(devices);
	g_autofree char *slot = g_strdup_printf("%#x", find_free_slot(devices));
	bool is_express = !g_strcmp0(root_bus, "pcie-root");
	json_t *device = make_device_json("vfio-user-pci", ADOPT_DEVICE_ID,
					  is_express ? ADOPT_PORT_ID : "pci.0");

	if (is_express) {
		json_t *port = make_device_json("pcie-root-port", ADOPT_PORT_ID, "pcie.0");

		json_object_set_new(port, "addr", json_string(slot));
		json_object_set_new(port, "chassis", json_integer(CHASSIS));
		add_device_args(line, port);
	} else {
		json_object_set_new(device, "addr", json_string(slot));
	}
	json_object_set_new(device, "socket",
			    json_pack("{s:s, s:s}", "type", "unix", "path", socket));
	json_object_set_new(device, "x-msg-timeout", json_integer(TIMEOUT_MS));
	add_device_args(line, device);
}

static void add_environment(xmlNode *line, char *const *environment)
{
	for (; *environment; environment++) {
		g_auto(GStrv) pair = g_strsplit(*environment, "=", 2);
		xmlNode *env = xmlNewChild(line, line->ns, (const xmlChar *)"env", NULL);

		set_attribute(env, "name", pair[0]);
		set_attribute(env, "value", pair[1]);
	}
}

char *adopt_xml_apply(const char *text, const struct adopt_params *params, GError **error)
{
	g_autoptr(xmlDoc) doc = xml_tree_parse(text, error);
	g_autoptr(GString) created = g_string_new(NULL);
	xmlNode *root, *devices, *ours, *line;

	if (!doc)
		return NULL;
	root = xmlDocGetRootElement(doc);
	devices = xml_child(root, "devices");
	if (find_our_element(root) || !devices) {
		g_set_error(error, HV_ERROR, HV_ERROR_REFUSED, "%s",
			    devices ? "it has aerostat's device already" : "it has no <devices>");
		return NULL;
	}
	ours = add_our_element(root, params->control, created);
	line = add_commandline(root, created);
	set_memory_shared(replace_element(root, "memoryBacking", ours));
	xmlNodeAddContent(clear_element(replace_element(devices, "emulator", ours)),
			  (const xmlChar *)params->emulator);
	set_attribute(clear_element(replace_element(devices, "memballoon", ours)), "model", "none");
	add_our_devices(line, devices, params->socket);
	add_environment(line, params->environment);
	set_attribute(ours, "created", g_strchomp(created->str));
	return xml_tree_text(doc);
}

/* ---- revert ---- */

static void restore_element(xmlNode *parent, const char *name, xmlNode *ours)
{
	xmlNode *now = xml_child(parent, name);
	xmlNode *former = xml_child(ours, name);

	if (!former) {
		xml_drop(now);
	} else if (now) {
		xmlReplaceNode(now, former);
		xmlFreeNode(now);
	} else {
		xmlAddChild(parent, former);
	}
}

/* Another device may have taken the PCI slot of the former balloon. */
static void check_restored_address(xmlNode *devices, GPtrArray *notes)
{
	xmlNode *address = xml_child(xml_child(devices, "memballoon"), "address");

	if (!address || !is_address_taken(devices, address))
		return;
	xml_drop(address);
	g_ptr_array_add(notes, g_strdup("another device has the PCI slot of the former balloon, "
					"which gets a new one"));
}

static void remove_created_elements(xmlNode *root, xmlNode *ours)
{
	g_autofree char *created = xml_attribute(ours, "created");
	bool made_metadata = created && strstr(created, "metadata");
	bool made_line = created && strstr(created, "commandline");
	xmlNode *line = find_next_commandline(root->children);
	xmlNode *metadata = ours->parent;

	xml_drop(ours);
	if (made_metadata && !xmlFirstElementChild(metadata))
		xml_drop(metadata);
	if (made_line && line && !xmlFirstElementChild(line))
		xml_drop(line);
}

char *adopt_xml_revert(const char *text, GPtrArray *notes, GError **error)
{
	g_autoptr(xmlDoc) doc = xml_tree_parse(text, error);
	xmlNode *root, *devices, *ours;

	if (!doc)
		return NULL;
	root = xmlDocGetRootElement(doc);
	devices = xml_child(root, "devices");
	ours = find_our_element(root);
	if (!ours || !devices) {
		g_set_error(error, HV_ERROR, HV_ERROR_REFUSED,
			    "it does not have aerostat's device");
		return NULL;
	}
	for (size_t i = 0; i < G_N_ELEMENTS(replaced); i++)
		restore_element(replaced[i].is_device ? devices : root, replaced[i].name, ours);
	check_restored_address(devices, notes);
	for (xmlNode *line = find_next_commandline(root->children); line;
	     line = find_next_commandline(line->next))
		remove_our_args(line);
	remove_created_elements(root, ours);
	return xml_tree_text(doc);
}
