// What both pages ask the graph.

const PRICE = "price { amount currency amountMinor }";
export const PRODUCT = `id sku name ${PRICE} stock { available } variants { sku name ${PRICE} availability { available } }`;
export const SALE = `id name endsAt items { sku stockLimit sold price { amount currency amountMinor } }`;
export const SESSION = `id title description status scheduledFor startedAt endedAt slotEndsAt streamUrl viewerCount salesCount
  totalRevenue { amount currency } host { id displayName } pinnedProduct { id }
  products { sku product { ${PRODUCT} } } flashSale { ${SALE} }`;
const ANSWER = `__typename ... on LiveSession { ${SESSION} } ... on Error { code message }`;

export const sessionOf = `query($id: ID!) { liveSession(id: $id) { ${SESSION} } }`;
export const chatOf = `query($id: ID!) { liveChat(sessionId: $id, first: 40) {
  nodes { id authorId authorName isHost body sentAt } } }`;

export function step(name, more = "", values = "") {
  return `mutation($id: ID!${more}) { ${name}(input: { sessionId: $id${values} }) { ${ANSWER} } }`;
}

export const prepare = `mutation($id: ID!, $key: String!) {
  startLiveSession(input: { sessionId: $id }, idempotencyKey: $key) { ${ANSWER} } }`;
export const schedule = `mutation($input: ScheduleLiveSessionInput!) { scheduleLiveSession(input: $input) { ${ANSWER} } }`;
export const startSale = `mutation($input: StartLiveFlashSaleInput!) { startLiveFlashSale(input: $input) { ${ANSWER} } }`;
export const say = `mutation($id: ID!, $body: String!) { sendLiveChat(input: { sessionId: $id, body: $body }) {
  __typename ... on LiveChatMessage { id } ... on Error { code message } } }`;
export const react = `mutation($id: ID!, $kind: ReactionKind!) { sendReaction(input: { sessionId: $id, kind: $kind }) {
  __typename ... on LiveReactionSent { kind } ... on Error { code message } } }`;

export const updated = `subscription($id: ID!, $after: String) {
  liveSessionUpdated(id: $id, after: $after) {
    cursor status viewers salesCount revenue { amount currency } } }`;
export const heard = `subscription($id: ID!, $after: String) { liveChatReceived(id: $id, after: $after) {
  cursor excludedUserId message { id authorId authorName isHost body sentAt } } }`;
export const pinned = `subscription($id: ID!, $after: String) { pinnedProductChanged(id: $id, after: $after) {
  cursor product { id } } }`;
export const sales = `subscription($id: ID!, $after: String) { liveFlashSale(id: $id, after: $after) {
  cursor isRunning flashSale { ${SALE} } } }`;
export const felt = `subscription($id: ID!) { liveReactions(id: $id) { totals { kind count } } }`;
