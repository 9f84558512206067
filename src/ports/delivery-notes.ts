/**
 * Which deliveries have reached their receiver. Written as soon as it has taken one, before anybody else is told: so a daemon
 * that dies, or ends, in between does not send it again after its next start. Kept for 30 days.
 */
export interface DeliveryNotes {
  noteDelivered(deliveryId: string, atMs: number): Promise<void>;
  isDelivered(deliveryId: string): Promise<boolean>;
}
